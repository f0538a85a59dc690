mod ingest_activities;
