//! What the demo prints: what is there, what to paste, what to expect.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;

use super::fill::{CONDITION, EMAIL, Made, SCOPES};
use crate::domain::time_text::format_time;

/// The text above the line `listening on …`.
pub(super) fn guide(made: &Made, address: SocketAddr, folder: &Path, temporary: bool) -> String {
    let Made { tenant, plan, activities, password, token, insider, two_countries } = made;
    let (first, insider) = insider;
    let (second, two_countries) = two_countries;
    let base = format!("http://{address}");
    let query = format!("{base}/shnapi/rest/external/api/v1/queryActivities");
    let (basic, bearer) = (format!("-u '{EMAIL}:{password}'"), format!("-H 'Authorization: Bearer {token}'"));
    let own = format!(
        r#"{{"timeStamp":{},"user":"{}","actionName":"UserLoggedIn","serviceName":"Example Mail","country":"NZ"}}"#,
        two_countries.to_ms - 60_000,
        two_countries.user
    );
    let mut text = String::new();
    // Writing to a string does not fail.
    let mut line = |arguments: std::fmt::Arguments<'_>| {
        let _ = writeln!(text, "{arguments}");
    };
    line(format_args!(
        "tenant {tenant}: {} activities of {} accounts in {} days",
        thousands(*activities),
        plan.users,
        plan.days
    ));
    line(format_args!(
        "anomaly {}: {} downloads {} files in one night",
        first.id,
        insider.user,
        thousands(insider.suspicious)
    ));
    line(format_args!("           from {}, where {CONDITION}", format_time(insider.from_ms)));
    line(format_args!("anomaly {}: {} is used from two countries within an hour", second.id, two_countries.user));
    line(format_args!("           from {}", format_time(two_countries.from_ms)));
    line(format_args!("user       {EMAIL} (reader), password {password}"));
    line(format_args!("token      {token} ({SCOPES})"));
    line(format_args!("data       {}", folder.display()));
    let mut step = |what: String, command: String| line(format_args!("\n# {what}\n{command}"));
    step(
        format!("The insider's downloads as CSV. Expect {} lines: a header and the rows.", insider.suspicious + 1),
        format!(r#"curl -sS {basic} {query} -d '{{"incident_id": {}}}' | wc -l"#, first.id),
    );
    step(
        format!("The same contract with the token. Expect {} rows; the last are from SG.", two_countries.activities),
        format!(
            r#"curl -sS {bearer} {query} -d '{{"incident_id": "{}"}}' -o anomaly-{}.csv && tail -n 3 anomaly-{}.csv"#,
            second.incident_id, second.id, second.id
        ),
    );
    step(
        "All anomalies with the state of their evidence, as JSON.".to_owned(),
        format!("curl -sS {bearer} {base}/api/v1/anomalies"),
    );
    step(
        "An activity of your own for the second anomaly: its next export has one row more.".to_owned(),
        format!("curl -sS {bearer} {base}/api/v1/activities --data-binary '{own}'"),
    );
    step(
        format!("The second anomaly's activities as of now, as NDJSON. Expect {} lines.", two_countries.activities + 1),
        format!(
            "curl -sS {bearer} -H 'Accept: application/x-ndjson' {base}/api/v1/anomalies/{}/activities | wc -l",
            second.id
        ),
    );
    step(
        "An anomaly of your own: everything big that left the company in the last 7 days.".to_owned(),
        format!(
            r#"curl -sS {bearer} {base}/api/v1/anomalies -d '{{"from": "-7d", "to": "now", "where": "downloadBytes > 50000000"}}'"#
        ),
    );
    line(format_args!("\nAll routes: {base}/docs"));
    line(format_args!(
        "Commands work beside it: anomalake anomaly list --tenant {tenant} --data-dir {}",
        shell_word(folder)
    ));
    let end = if temporary { "the temporary folder is removed then" } else { "the data stays" };
    line(format_args!("Stop with Ctrl-C; {end}.\n"));
    text
}

/// `1234567` as `1,234,567`.
fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn shell_word(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_paths_are_written_for_people_and_shells() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(thousands), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(shell_word(Path::new("/tmp/a-b_1.x")), "/tmp/a-b_1.x");
        assert_eq!(shell_word(Path::new("/tmp/a b'c")), "'/tmp/a b'\\''c'");
    }
}
