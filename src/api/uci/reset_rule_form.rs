//! What a reset rule may look like, for the document.

use utoipa::ToSchema;

/// A user or a pattern, for the document.
#[derive(Debug, ToSchema)]
#[schema(value_type = String, min_length = 1, max_length = 512, pattern = r"\S", example = "*@example.com")]
pub struct UserPattern(pub String);

/// What every rule has.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct AnyRule {
    /// Name for people.
    #[schema(min_length = 1, max_length = 256, pattern = r"\S")]
    pub name: String,
    /// Users, exactly or as glob patterns (`*`, `?`, `[ab]`, `{a,b}`), without case.
    #[schema(min_items = 1, max_items = 1000)]
    pub users: Vec<UserPattern>,
    /// Time of day, UTC.
    #[schema(pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$", example = "06:30")]
    pub at: String,
    /// Whether it runs; true by default.
    pub enabled: Option<bool>,
}

/// Days of a week, in English.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "lowercase")]
#[expect(missing_docs, reason = "everybody knows them")]
pub enum WeekdayName {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

/// A day of every week.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct WeeklyRule {
    /// What every rule has.
    #[serde(flatten)]
    pub rule: AnyRule,
    /// The day.
    pub weekday: WeekdayName,
}

/// A day of every month.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct MonthlyRule {
    /// What every rule has.
    #[serde(flatten)]
    pub rule: AnyRule,
    /// The day, of those that every month has.
    #[schema(minimum = 1, maximum = 28)]
    pub day_of_month: i64,
}

/// A rule; `weekday` and `dayOfMonth` go with their own schedule only.
#[derive(Debug, ToSchema)]
#[serde(tag = "schedule", rename_all = "lowercase")]
#[schema(example = json!({
    "name": "monday mornings", "users": ["*@example.com"], "schedule": "weekly", "at": "06:30", "weekday": "monday",
}))]
pub enum ResetRuleForm {
    /// Every day.
    Daily(AnyRule),
    /// A day of every week.
    Weekly(WeeklyRule),
    /// A day of every month.
    Monthly(MonthlyRule),
}
