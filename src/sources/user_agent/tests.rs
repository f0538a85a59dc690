use proptest::prelude::*;

use super::*;

const CHROME: &str = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36";

/// Name, operating system and category; `-` where there is none.
fn told(text: &str) -> [String; 3] {
    let agent = user_agent(text);
    let or_dash = |text: Option<&str>| text.unwrap_or("-").to_owned();
    [or_dash(agent.name.as_deref()), or_dash(agent.system.as_deref()), or_dash(agent.category.map(Category::text))]
}

#[test]
fn browsers_are_named_with_their_system() {
    for (text, expected) in [
        (format!("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {CHROME}"), ["Chrome", "Mac OS X", "browser"]),
        (format!("[Mozilla/5.0 (Windows NT 10.0; Win64; x64) {CHROME}]"), ["Chrome", "Windows 10", "browser"]),
        (format!("Mozilla/5.0 (Windows NT 10.0; Win64; x64) {CHROME} Edg/131.0.2903.86"), ["Edge", "Windows 10", "browser"]),
        (
            "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:102.0) Gecko/20100101 Firefox/102.0".to_owned(),
            ["Firefox", "Ubuntu", "browser"],
        ),
        (
            "Mozilla/5.0 (Linux; Android 11; ONEPLUS A6013) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/104.0.0.0 Mobile Safari/537.36".to_owned(),
            ["Chrome Mobile", "Android", "browser"],
        ),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 17_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.1 Mobile/15E148 Safari/604.1".to_owned(),
            ["Mobile Safari", "iOS", "browser"],
        ),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 17_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148".to_owned(),
            ["Mobile Safari UI/WKWebView", "iOS", "mobile app"],
        ),
        ("Mozilla/5.0 (X11; Linux x86_64)".to_owned(), ["-", "Linux", "browser"]),
        ("Mozilla/5.0".to_owned(), ["-", "-", "-"]),
        ("Mozilla".to_owned(), ["-", "-", "-"]),
    ] {
        assert_eq!(told(&text), expected, "{text}");
    }
}

#[test]
fn tools_libraries_apps_and_services_are_told_apart() {
    for (text, expected) in [
        ("[aws-cli/2.15.0 Python/3.11.6]", ["aws-cli", "-", "cli"]),
        ("aws-cli/1.15.42 Python/3.6.1 Darwin/17.7.0 botocore/1.10.42", ["aws-cli", "Mac OS X", "cli"]),
        ("[Boto3/1.26.165 Python/3.10.6 Linux/5.19.0-46-generic Botocore/1.29.165]", ["Boto3", "Linux", "sdk"]),
        (
            "APN/1.0 HashiCorp/1.0 Terraform/1.1.2 (+https://www.terraform.io) terraform-provider-aws/3.76.1 aws-sdk-go/1.44.157 (go1.19.3; linux; amd64)",
            ["Terraform", "Linux", "cli"],
        ),
        ("aws-sdk-go/1.4.14 (go1.11.4; darwin; amd64)", ["aws-sdk-go", "Mac OS X", "sdk"]),
        ("aws-sdk-go-v2/1.32.3 os/linux lang/go#1.23.1 md/GOOS#linux", ["aws-sdk-go-v2", "Linux", "sdk"]),
        ("aws-sdk-go/1.41.4 (go1.18.3; linux; amd64) amazon-ssm-agent/", ["amazon-ssm-agent", "Linux", "service"]),
        ("[S3Console/0.4, aws-internal/3 aws-sdk-java/1.11.666 Linux/4.9.184]", ["S3Console", "Linux", "console"]),
        ("console.amazonaws.com", ["console.amazonaws.com", "-", "console"]),
        ("signin.amazonaws.com", ["signin.amazonaws.com", "-", "console"]),
        ("secretsmanager.amazonaws.com", ["secretsmanager.amazonaws.com", "-", "service"]),
        ("AWS Internal", ["AWS Internal", "-", "service"]),
        ("kubectl/v1.25.4 (darwin/arm64) kubernetes/872a965", ["kubectl", "Mac OS X", "cli"]),
        ("kube-probe/1.28", ["kube-probe", "-", "bot"]),
        ("python-requests/2.28.0", ["python-requests", "-", "sdk"]),
        ("Go-http-client/2.0", ["Go-http-client", "-", "sdk"]),
        ("curl/7.68.0", ["curl", "-", "cli"]),
        ("git/2.39.3 (Apple Git-145)", ["git", "-", "cli"]),
        ("GitHub CLI 2.40.1", ["GitHub CLI", "-", "cli"]),
        ("yarn/4.0.2 npm/? node/v21.2.0 win32 x64", ["yarn", "Windows", "cli"]),
        ("Ruby, RubyGems/3.4.22 linux-x86_64 Ruby/3.1.4 (2023-03-30 patchlevel 223)", ["RubyGems", "Linux", "cli"]),
        (
            "Microsoft Office/16.0 (Windows NT 10.0; Microsoft Outlook 16.0.12026; Pro)",
            ["Outlook", "Windows 10", "desktop app"],
        ),
        (
            "Mozilla/5.0 (Windows NT; Windows NT 10.0; en-US) WindowsPowerShell/5.1.19041.1237",
            ["PowerShell", "Windows 10", "cli"],
        ),
        (
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Visual Studio Code/1.75.0 Chrome/102.0.5005.167 Electron/19.1.9 Safari/537.36",
            ["Visual Studio Code", "Windows 10", "desktop app"],
        ),
        ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", ["Googlebot", "-", "bot"]),
        ("Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)", ["Slackbot-LinkExpanding", "-", "bot"]),
        ("AcmeCrawler/3", ["AcmeCrawler", "-", "bot"]),
        ("example-user-agent", ["example-user-agent", "-", "-"]),
        ("acme-sync/2.1 (Android 14)", ["acme-sync", "Android", "mobile app"]),
        ("", ["-", "-", "-"]),
        ("-", ["-", "-", "-"]),
    ] {
        assert_eq!(told(text), expected, "{text}");
    }
}

proptest! {
    #[test]
    fn no_text_does_harm_and_a_repeat_is_the_same(text in "\\PC{0,700}") {
        let agent = user_agent(&text);
        prop_assert_eq!(&agent, &user_agent(&text));
        prop_assert!(agent.name.as_ref().is_none_or(|name| !name.is_empty() && name.len() <= 2 * MAX_BYTES));
    }
}
