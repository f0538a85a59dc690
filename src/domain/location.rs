//! The id of a location.

/// `city::country::region` (wire contract of the anomaly activities, section 3), what is missing left empty; none
/// without any.
#[must_use]
pub fn location_id(city: Option<&str>, country: Option<&str>, region: Option<&str>) -> Option<String> {
    let parts = [city, country, region].map(Option::unwrap_or_default);
    parts.iter().any(|part| !part.is_empty()).then(|| parts.join("::"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_keep_their_places() {
        assert_eq!(location_id(Some("portland"), Some("US"), Some("or")).as_deref(), Some("portland::US::or"));
        assert_eq!(location_id(None, Some("US"), None).as_deref(), Some("::US::"));
        assert_eq!(location_id(None, Some(""), None), None);
    }
}
