//! Agents that audit logs are full of, by what their text begins with or holds. All in lower case.

use super::Category;
use super::Category::{Bot, Cli, Console, DesktopApp, MobileApp, Sdk, Service};

/// What an agent is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rule {
    place: Place,
    /// Its name; its first product where there is none.
    pub(super) name: Option<&'static str>,
    pub(super) category: Category,
}

#[derive(Debug, Clone, Copy)]
enum Place {
    Begins(&'static str),
    Ends(&'static str),
    Holds(&'static str),
}

const fn begins(with: &'static str, category: Category) -> Rule {
    Rule { place: Place::Begins(with), name: None, category }
}

const fn ends(with: &'static str, category: Category) -> Rule {
    Rule { place: Place::Ends(with), name: None, category }
}

const fn holds(text: &'static str, name: &'static str, category: Category) -> Rule {
    Rule { place: Place::Holds(text), name: Some(name), category }
}

const fn named(with: &'static str, name: &'static str, category: Category) -> Rule {
    Rule { place: Place::Begins(with), name: Some(name), category }
}

/// The first that fits counts.
const RULES: &[Rule] = &[
    // What is built upon a library says more than the library does.
    holds("terraform", "Terraform", Cli),
    holds("pulumi", "Pulumi", Cli),
    holds("amazon-ssm-agent", "amazon-ssm-agent", Service),
    holds("google-cloud-sdk", "gcloud", Cli),
    holds("visual studio code", "Visual Studio Code", DesktopApp),
    holds("windowspowershell", "PowerShell", Cli),
    holds("powershell/", "PowerShell", Cli),
    // Amazon: its console, its services, its own tools.
    begins("console.", Console),
    begins("signin.amazonaws.com", Console),
    named("s3console", "S3Console", Console),
    named("aws internal", "AWS Internal", Service),
    named("aws-internal", "AWS Internal", Service),
    ends(".amazonaws.com", Service),
    begins("aws-cli", Cli),
    named("boto3", "Boto3", Sdk),
    named("botocore", "Botocore", Sdk),
    begins("aws-sdk-", Sdk),
    begins("elb-healthchecker", Bot),
    // Clusters.
    begins("kubectl", Cli),
    begins("helm", Cli),
    begins("kubelet", Service),
    begins("kube-probe", Bot),
    begins("kube-", Service),
    named("kubernetes java client", "Kubernetes Java Client", Sdk),
    // Microsoft.
    begins("azurecli", Cli),
    begins("azsdk-", Sdk),
    holds("slack_ssb", "Slack", DesktopApp),
    holds("slack/", "Slack", DesktopApp),
    holds("teams/", "Microsoft Teams", DesktopApp),
    named("microsoft skydrivesync", "OneDrive", DesktopApp),
    begins("onedrive", DesktopApp),
    holds("microsoft outlook", "Outlook", DesktopApp),
    named("outlook-ios", "Outlook", MobileApp),
    named("outlook-android", "Outlook", MobileApp),
    named("microsoft office", "Microsoft Office", DesktopApp),
    holds("electron/", "Electron", DesktopApp),
    begins("thunderbird", DesktopApp),
    named("postmanruntime", "Postman", DesktopApp),
    // Crawlers and monitors name themselves so.
    begins("slackbot", Bot),
    holds("googlebot", "Googlebot", Bot),
    holds("bingbot", "bingbot", Bot),
    // Command lines and what fetches packages.
    named("github cli", "GitHub CLI", Cli),
    begins("git/", Cli),
    begins("git-lfs/", Cli),
    begins("curl/", Cli),
    begins("wget/", Cli),
    begins("httpie/", Cli),
    begins("rclone/", Cli),
    begins("docker/", Cli),
    begins("npm/", Cli),
    begins("yarn/", Cli),
    begins("pnpm/", Cli),
    begins("pip/", Cli),
    begins("cargo/", Cli),
    begins("cargo ", Cli),
    holds("rubygems/", "RubyGems", Cli),
    begins("trufflehog", Cli),
    // Libraries.
    begins("python", Sdk),
    begins("aiohttp/", Sdk),
    begins("go-http-client", Sdk),
    begins("okhttp/", Sdk),
    begins("java/", Sdk),
    begins("apache-httpclient", Sdk),
    begins("axios/", Sdk),
    begins("node-fetch", Sdk),
    begins("undici", Sdk),
    begins("guzzlehttp", Sdk),
    begins("faraday", Sdk),
    begins("octokit", Sdk),
    begins("libwww-perl", Sdk),
    begins("dart/", Sdk),
];

/// The rule for an agent's text in lower case.
pub(super) fn rule_of(lower: &str) -> Option<&'static Rule> {
    let fits = |rule: &&Rule| match rule.place {
        Place::Begins(with) => lower.starts_with(with),
        Place::Ends(with) => lower.ends_with(with),
        Place::Holds(text) => lower.contains(text),
    };
    RULES.iter().find(fits).or_else(|| is_bot(lower).then_some(&ANY_BOT))
}

static ANY_BOT: Rule = Rule { place: Place::Holds("bot"), name: None, category: Bot };

/// Crawlers that are no browsers in disguise say `…bot/2.1`, or what they do.
fn is_bot(lower: &str) -> bool {
    !lower.starts_with("mozilla") && ["bot/", "spider", "crawler"].iter().any(|word| lower.contains(word))
}

/// The operating system that programs name who are no browsers: `darwin/arm64`, `os/linux#5.10`.
pub(super) fn system_in(lower: &str) -> Option<&'static str> {
    let holds = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    if holds(&["darwin", "macos", "os x"]) {
        Some("Mac OS X")
    } else if holds(&["windows", "win32"]) {
        Some("Windows")
    } else if holds(&["android"]) {
        Some("Android")
    } else if holds(&["linux"]) {
        Some("Linux")
    } else {
        None
    }
}
