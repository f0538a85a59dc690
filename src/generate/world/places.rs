//! Places on the map.

/// A place on the map.
#[derive(Debug, Clone)]
pub(in crate::generate) struct Place {
    pub(in crate::generate) city: String,
    pub(in crate::generate) region: String,
    pub(in crate::generate) country: &'static str,
    /// Offset of its clock from UTC, in hours.
    pub(in crate::generate) utc_hours: i64,
}

/// Places where people of the demo live: the first ones.
pub(in crate::generate) const HOMES: usize = 5;

/// People in ten that live in each of them.
pub(in crate::generate) const HOME_WEIGHTS: [f64; HOMES] = [3.0, 2.0, 2.0, 2.0, 1.0];

/// Where nobody of the demo lives.
pub(in crate::generate) const FAR_AWAY: u16 = 5;

const WRITTEN: [(&str, &str, &str, i64); 6] = [
    ("portland", "or", "US", -8),
    ("san francisco", "ca", "US", -8),
    ("austin", "tx", "US", -6),
    ("dublin", "leinster", "IE", 0),
    ("berlin", "be", "DE", 1),
    ("singapore", "central singapore", "SG", 8),
];

/// Countries of large companies.
pub(in crate::generate) const COUNTRIES: u32 = 100;

/// ISO 3166 codes by number of people of the company, each with its usual distance from UTC in hours.
const CODES: [(&str, i64); COUNTRIES as usize] = [
    ("US", -6),
    ("DE", 1),
    ("GB", 0),
    ("IN", 5),
    ("FR", 1),
    ("JP", 9),
    ("CA", -5),
    ("AU", 10),
    ("BR", -3),
    ("NL", 1),
    ("ES", 1),
    ("IT", 1),
    ("PL", 1),
    ("SE", 1),
    ("CH", 1),
    ("SG", 8),
    ("MX", -6),
    ("IE", 0),
    ("KR", 9),
    ("BE", 1),
    ("AT", 1),
    ("DK", 1),
    ("NO", 1),
    ("FI", 2),
    ("PT", 0),
    ("CZ", 1),
    ("RO", 2),
    ("HU", 1),
    ("GR", 2),
    ("IL", 2),
    ("ZA", 2),
    ("AR", -3),
    ("CL", -3),
    ("CO", -5),
    ("PE", -5),
    ("NZ", 12),
    ("MY", 8),
    ("TH", 7),
    ("ID", 7),
    ("PH", 8),
    ("VN", 7),
    ("TW", 8),
    ("HK", 8),
    ("AE", 4),
    ("SA", 3),
    ("TR", 3),
    ("EG", 2),
    ("MA", 1),
    ("NG", 1),
    ("KE", 3),
    ("UA", 2),
    ("BG", 2),
    ("HR", 1),
    ("SK", 1),
    ("SI", 1),
    ("LT", 2),
    ("LV", 2),
    ("EE", 2),
    ("LU", 1),
    ("IS", 0),
    ("MT", 1),
    ("CY", 2),
    ("RS", 1),
    ("BA", 1),
    ("AL", 1),
    ("MK", 1),
    ("GE", 4),
    ("AM", 4),
    ("AZ", 4),
    ("KZ", 5),
    ("UZ", 5),
    ("PK", 5),
    ("BD", 6),
    ("LK", 5),
    ("NP", 5),
    ("KH", 7),
    ("QA", 3),
    ("KW", 3),
    ("BH", 3),
    ("OM", 4),
    ("JO", 2),
    ("LB", 2),
    ("TN", 1),
    ("DZ", 1),
    ("GH", 0),
    ("SN", 0),
    ("CI", 0),
    ("CM", 1),
    ("TZ", 3),
    ("UG", 3),
    ("ET", 3),
    ("ZM", 2),
    ("MU", 4),
    ("CR", -6),
    ("PA", -5),
    ("GT", -6),
    ("DO", -4),
    ("UY", -3),
    ("PY", -4),
    ("EC", -5),
];

const ONSETS: [&str; 12] = ["bar", "cal", "dor", "fen", "gra", "hol", "lin", "mor", "nor", "ral", "sel", "tor"];
const MIDDLES: [&str; 8] = ["", "a", "ber", "den", "in", "la", "mi", "o"];
const ENDS: [&str; 8] = ["ton", "burg", "ville", "stad", "port", "ford", "field", "haven"];

/// All places, and for each country its first place and how many it has.
pub(super) fn places() -> (Vec<Place>, Vec<(u16, u16)>) {
    let written = WRITTEN.into_iter().map(|(city, region, country, utc_hours)| Place {
        city: city.to_owned(),
        region: region.to_owned(),
        country,
        utc_hours,
    });
    let mut places: Vec<Place> = written.collect();
    let mut countries = Vec::new();
    for (rank, (country, utc_hours)) in (1_u32..).zip(CODES) {
        let count = super::whole(150.0 * f64::from(rank).powf(-0.72)).max(4);
        countries.push((super::id16(places.len()), u16::try_from(count).unwrap_or(u16::MAX)));
        for _ in 0..count {
            let n = places.len();
            let city = format!(
                "{}{}{}",
                ONSETS[n % ONSETS.len()],
                MIDDLES[n / ONSETS.len() % MIDDLES.len()],
                ENDS[n / (ONSETS.len() * MIDDLES.len()) % ENDS.len()]
            );
            // Twice around all the syllables.
            let city = if n < 768 { city } else { format!("new {city}") };
            places.push(Place { city, region: format!("r{}", n % 40), country, utc_hours });
        }
    }
    (places, countries)
}
