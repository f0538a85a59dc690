mod query_activities;
