//! Countries by name: some vendors write `Brazil` where the wire has `BR`.

/// English names of ISO 3166-1 and their common other forms, in lower case, without accents, marks and the
/// word `the`; ordered.
#[rustfmt::skip]
const NAMES: &[(&str, &str)] = &[
    ("afghanistan", "AF"), ("aland islands", "AX"), ("albania", "AL"), ("algeria", "DZ"), ("american samoa", "AS"),
    ("andorra", "AD"), ("angola", "AO"), ("anguilla", "AI"), ("antarctica", "AQ"), ("antigua and barbuda", "AG"),
    ("argentina", "AR"), ("armenia", "AM"), ("aruba", "AW"), ("australia", "AU"), ("austria", "AT"),
    ("azerbaijan", "AZ"), ("bahamas", "BS"), ("bahrain", "BH"), ("bangladesh", "BD"), ("barbados", "BB"),
    ("belarus", "BY"), ("belgium", "BE"), ("belize", "BZ"), ("benin", "BJ"), ("bermuda", "BM"), ("bhutan", "BT"),
    ("bolivarian republic of venezuela", "VE"), ("bolivia", "BO"), ("bolivia plurinational state of", "BO"),
    ("bonaire sint eustatius and saba", "BQ"), ("bosnia", "BA"), ("bosnia and herzegovina", "BA"),
    ("botswana", "BW"), ("bouvet island", "BV"), ("brazil", "BR"), ("britain", "GB"),
    ("british indian ocean territory", "IO"), ("british virgin islands", "VG"), ("brunei", "BN"),
    ("brunei darussalam", "BN"), ("bulgaria", "BG"), ("burkina faso", "BF"), ("burma", "MM"), ("burundi", "BI"),
    ("cabo verde", "CV"), ("cambodia", "KH"), ("cameroon", "CM"), ("canada", "CA"), ("cape verde", "CV"),
    ("caribbean netherlands", "BQ"), ("cayman islands", "KY"), ("central african republic", "CF"), ("chad", "TD"),
    ("chile", "CL"), ("china", "CN"), ("christmas island", "CX"), ("cocos islands", "CC"),
    ("cocos keeling islands", "CC"), ("colombia", "CO"), ("comoros", "KM"), ("congo", "CG"),
    ("congo brazzaville", "CG"), ("congo democratic republic of", "CD"), ("congo kinshasa", "CD"),
    ("congo republic of", "CG"), ("cook islands", "CK"), ("costa rica", "CR"), ("cote divoire", "CI"),
    ("croatia", "HR"), ("cuba", "CU"), ("curacao", "CW"), ("cyprus", "CY"), ("czech republic", "CZ"),
    ("czechia", "CZ"), ("democratic peoples republic of korea", "KP"), ("democratic republic of congo", "CD"),
    ("denmark", "DK"), ("djibouti", "DJ"), ("dominica", "DM"), ("dominican republic", "DO"), ("dr congo", "CD"),
    ("east timor", "TL"), ("ecuador", "EC"), ("egypt", "EG"), ("el salvador", "SV"), ("england", "GB"),
    ("equatorial guinea", "GQ"), ("eritrea", "ER"), ("estonia", "EE"), ("eswatini", "SZ"), ("ethiopia", "ET"),
    ("falkland islands", "FK"), ("falkland islands malvinas", "FK"), ("faroe islands", "FO"),
    ("federated states of micronesia", "FM"), ("fiji", "FJ"), ("finland", "FI"), ("france", "FR"),
    ("french guiana", "GF"), ("french polynesia", "PF"), ("french southern and antarctic lands", "TF"),
    ("french southern territories", "TF"), ("gabon", "GA"), ("gambia", "GM"), ("georgia", "GE"), ("germany", "DE"),
    ("ghana", "GH"), ("gibraltar", "GI"), ("great britain", "GB"), ("greece", "GR"), ("greenland", "GL"),
    ("grenada", "GD"), ("guadeloupe", "GP"), ("guam", "GU"), ("guatemala", "GT"), ("guernsey", "GG"),
    ("guinea", "GN"), ("guinea bissau", "GW"), ("guyana", "GY"), ("haiti", "HT"),
    ("heard island and mcdonald islands", "HM"), ("holland", "NL"), ("holy see", "VA"),
    ("holy see vatican city state", "VA"), ("honduras", "HN"), ("hong kong", "HK"), ("hong kong sar", "HK"),
    ("hong kong sar china", "HK"), ("hungary", "HU"), ("iceland", "IS"), ("india", "IN"), ("indonesia", "ID"),
    ("iran", "IR"), ("iran islamic republic of", "IR"), ("iraq", "IQ"), ("ireland", "IE"),
    ("islamic republic of iran", "IR"), ("isle of man", "IM"), ("israel", "IL"), ("italy", "IT"),
    ("ivory coast", "CI"), ("jamaica", "JM"), ("japan", "JP"), ("jersey", "JE"), ("jordan", "JO"),
    ("kazakhstan", "KZ"), ("kenya", "KE"), ("kiribati", "KI"), ("korea democratic peoples republic of", "KP"),
    ("korea republic of", "KR"), ("kosovo", "XK"), ("kuwait", "KW"), ("kyrgyzstan", "KG"),
    ("lao peoples democratic republic", "LA"), ("laos", "LA"), ("latvia", "LV"), ("lebanon", "LB"),
    ("lesotho", "LS"), ("liberia", "LR"), ("libya", "LY"), ("liechtenstein", "LI"), ("lithuania", "LT"),
    ("luxembourg", "LU"), ("macao", "MO"), ("macao sar china", "MO"), ("macau", "MO"), ("macedonia", "MK"),
    ("madagascar", "MG"), ("mainland china", "CN"), ("malawi", "MW"), ("malaysia", "MY"), ("maldives", "MV"),
    ("mali", "ML"), ("malta", "MT"), ("marshall islands", "MH"), ("martinique", "MQ"), ("mauritania", "MR"),
    ("mauritius", "MU"), ("mayotte", "YT"), ("mexico", "MX"), ("micronesia", "FM"),
    ("micronesia federated states of", "FM"), ("moldova", "MD"), ("moldova republic of", "MD"), ("monaco", "MC"),
    ("mongolia", "MN"), ("montenegro", "ME"), ("montserrat", "MS"), ("morocco", "MA"), ("mozambique", "MZ"),
    ("myanmar", "MM"), ("myanmar burma", "MM"), ("namibia", "NA"), ("nauru", "NR"), ("nepal", "NP"),
    ("netherlands", "NL"), ("new caledonia", "NC"), ("new zealand", "NZ"), ("nicaragua", "NI"), ("niger", "NE"),
    ("nigeria", "NG"), ("niue", "NU"), ("norfolk island", "NF"), ("north korea", "KP"), ("north macedonia", "MK"),
    ("northern ireland", "GB"), ("northern mariana islands", "MP"), ("norway", "NO"), ("oman", "OM"),
    ("pakistan", "PK"), ("palau", "PW"), ("palestine", "PS"), ("palestine state of", "PS"),
    ("palestinian territories", "PS"), ("palestinian territory", "PS"), ("palestinian territory occupied", "PS"),
    ("panama", "PA"), ("papua new guinea", "PG"), ("paraguay", "PY"), ("peoples republic of china", "CN"),
    ("peru", "PE"), ("philippines", "PH"), ("pitcairn", "PN"), ("pitcairn islands", "PN"),
    ("plurinational state of bolivia", "BO"), ("poland", "PL"), ("portugal", "PT"), ("puerto rico", "PR"),
    ("qatar", "QA"), ("republic of congo", "CG"), ("republic of korea", "KR"), ("republic of moldova", "MD"),
    ("republic of north macedonia", "MK"), ("reunion", "RE"), ("romania", "RO"), ("russia", "RU"),
    ("russian federation", "RU"), ("rwanda", "RW"), ("saint barthelemy", "BL"), ("saint helena", "SH"),
    ("saint helena ascension and tristan da cunha", "SH"), ("saint kitts and nevis", "KN"), ("saint lucia", "LC"),
    ("saint martin", "MF"), ("saint martin french part", "MF"), ("saint pierre and miquelon", "PM"),
    ("saint vincent and grenadines", "VC"), ("samoa", "WS"), ("san marino", "SM"), ("sao tome and principe", "ST"),
    ("saudi arabia", "SA"), ("scotland", "GB"), ("senegal", "SN"), ("serbia", "RS"), ("seychelles", "SC"),
    ("sierra leone", "SL"), ("singapore", "SG"), ("sint maarten", "SX"), ("sint maarten dutch part", "SX"),
    ("slovakia", "SK"), ("slovenia", "SI"), ("solomon islands", "SB"), ("somalia", "SO"), ("south africa", "ZA"),
    ("south georgia and south sandwich islands", "GS"), ("south korea", "KR"), ("south sudan", "SS"),
    ("spain", "ES"), ("sri lanka", "LK"), ("st barthelemy", "BL"), ("st helena", "SH"), ("st kitts and nevis", "KN"),
    ("st lucia", "LC"), ("st martin", "MF"), ("st pierre and miquelon", "PM"), ("st vincent", "VC"),
    ("state of palestine", "PS"), ("sudan", "SD"), ("suriname", "SR"), ("svalbard and jan mayen", "SJ"),
    ("swaziland", "SZ"), ("sweden", "SE"), ("switzerland", "CH"), ("syria", "SY"), ("syrian arab republic", "SY"),
    ("taiwan", "TW"), ("taiwan province of china", "TW"), ("tajikistan", "TJ"), ("tanzania", "TZ"),
    ("tanzania united republic of", "TZ"), ("thailand", "TH"), ("timor leste", "TL"), ("togo", "TG"),
    ("tokelau", "TK"), ("tonga", "TO"), ("trinidad and tobago", "TT"), ("tunisia", "TN"), ("turkey", "TR"),
    ("turkiye", "TR"), ("turkmenistan", "TM"), ("turks and caicos islands", "TC"), ("tuvalu", "TV"), ("uae", "AE"),
    ("uganda", "UG"), ("ukraine", "UA"), ("united arab emirates", "AE"), ("united kingdom", "GB"),
    ("united kingdom of great britain and northern ireland", "GB"), ("united republic of tanzania", "TZ"),
    ("united states", "US"), ("united states minor outlying islands", "UM"), ("united states of america", "US"),
    ("united states virgin islands", "VI"), ("uruguay", "UY"), ("us minor outlying islands", "UM"),
    ("us virgin islands", "VI"), ("usa", "US"), ("uzbekistan", "UZ"), ("vanuatu", "VU"), ("vatican city", "VA"),
    ("vatican city state", "VA"), ("venezuela", "VE"), ("venezuela bolivarian republic of", "VE"),
    ("viet nam", "VN"), ("vietnam", "VN"), ("virgin islands british", "VG"), ("virgin islands us", "VI"),
    ("wales", "GB"), ("wallis and futuna", "WF"), ("western sahara", "EH"), ("western samoa", "WS"), ("yemen", "YE"),
    ("zambia", "ZM"), ("zimbabwe", "ZW"),
];

/// The two-letter code of a country by its code, in any case, or its English name; none for what is neither.
#[must_use]
pub fn country_code(text: &str) -> Option<String> {
    let text = text.trim();
    if text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_alphabetic()) {
        return Some(text.to_ascii_uppercase());
    }
    let name = plain(text);
    let found = NAMES.binary_search_by(|(known, _)| (*known).cmp(name.as_str())).ok()?;
    Some(NAMES[found].1.to_owned())
}

/// Letters in lower case and single blanks, without the word `the`.
fn plain(name: &str) -> String {
    let mut letters = String::with_capacity(name.len());
    for c in name.chars().flat_map(char::to_lowercase) {
        match c {
            'a'..='z' => letters.push(c),
            'à'..='å' => letters.push('a'),
            'ç' => letters.push('c'),
            'è'..='ë' => letters.push('e'),
            'ì'..='ï' => letters.push('i'),
            'ò'..='ö' => letters.push('o'),
            'ù'..='ü' => letters.push('u'),
            '\'' | '’' | '.' | '\u{300}'..='\u{36f}' => {}
            '&' => letters.push_str(" and "),
            _ => letters.push(' '),
        }
    }
    letters.split(' ').filter(|word| !word.is_empty() && *word != "the").collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_codes_are_found() {
        for (text, code) in [
            ("Brazil", "BR"),
            ("  united STATES ", "US"),
            ("The Netherlands", "NL"),
            ("Bosnia & Herzegovina", "BA"),
            ("Korea, Republic of", "KR"),
            ("Côte d’Ivoire", "CI"),
            ("São Tomé and Príncipe", "ST"),
            ("Guinea-Bissau", "GW"),
            ("U.S. Virgin Islands", "VI"),
            ("de", "DE"),
            ("XK", "XK"),
        ] {
            assert_eq!(country_code(text).as_deref(), Some(code), "{text}");
        }
    }

    #[test]
    fn what_is_no_country_is_none() {
        for text in ["", "Unknown", "U", "1A", "DEU", "redacted", "the"] {
            assert_eq!(country_code(text), None, "{text}");
        }
    }

    #[test]
    fn the_table_is_ordered_and_plain() {
        assert!(NAMES.is_sorted_by(|a, b| a.0 < b.0));
        for (name, code) in NAMES {
            assert_eq!(plain(name), *name);
            assert!(code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_uppercase()), "{code}");
        }
    }
}
