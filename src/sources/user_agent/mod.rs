//! What the text of a user agent tells: the program, the operating system, and what kind of program it is.
//!
//! First the rules of [`rules`], for what people meet in audit logs and the public collection does not know;
//! then the collection of uap-core, in `data/user-agents.json`. A program that neither knows is named by its
//! first product (`acme-sync/2.1 …` is `acme-sync`).

mod parsers;
mod rules;

use std::sync::{Arc, LazyLock};

use moka::sync::Cache;

use self::parsers::PARSERS;
use self::rules::{rule_of, system_in};

/// What is read of an agent's text, in bytes; regular expressions run over it.
const MAX_BYTES: usize = 512;

/// Agents that are remembered, each with its text of at most [`MAX_BYTES`].
const REMEMBERED: u64 = 4_096;

/// What an agent's text tells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserAgent {
    /// The program, without its version: `Chrome`, `aws-cli`.
    pub name: Option<String>,
    /// The operating system; of Windows with its version: `Windows 10`, `Mac OS X`, `iOS`.
    pub system: Option<String>,
    /// What kind of program it is.
    pub category: Option<Category>,
}

/// Kinds of programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Category {
    /// A person's web browser.
    Browser,
    /// A vendor's own web console, which calls on behalf of who uses it.
    Console,
    /// A program on a phone or tablet.
    MobileApp,
    /// A program with windows on a computer.
    DesktopApp,
    /// A program for the command line.
    Cli,
    /// A library in somebody's program or script.
    Sdk,
    /// A crawler, a monitor, a previewer of links.
    Bot,
    /// A service of the vendor itself.
    Service,
}

impl Category {
    /// As `clientCategory` has it.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Browser => "browser",
            Self::Console => "console",
            Self::MobileApp => "mobile app",
            Self::DesktopApp => "desktop app",
            Self::Cli => "cli",
            Self::Sdk => "sdk",
            Self::Bot => "bot",
            Self::Service => "service",
        }
    }
}

/// Reads an agent's text; what was read lately is remembered, because logs repeat a few texts.
#[must_use]
pub fn user_agent(text: &str) -> Arc<UserAgent> {
    static KNOWN: LazyLock<Cache<String, Arc<UserAgent>>> = LazyLock::new(|| Cache::new(REMEMBERED));
    let text = relevant(text);
    KNOWN.get(text).unwrap_or_else(|| {
        let agent = Arc::new(read(text));
        KNOWN.insert(text.to_owned(), Arc::clone(&agent));
        agent
    })
}

/// The part of a text that is read. CloudTrail writes some agents in brackets.
fn relevant(text: &str) -> &str {
    let text = text.trim();
    let text = text.strip_prefix('[').map_or(text, |text| text.strip_suffix(']').unwrap_or(text)).trim();
    let mut end = text.len().min(MAX_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

fn read(text: &str) -> UserAgent {
    if matches!(text, "" | "-" | "null") {
        return UserAgent::default();
    }
    let lower = text.to_lowercase();
    let system = PARSERS.system(text).or_else(|| system_in(&lower).map(str::to_owned));
    let is_mobile = matches!(system.as_deref(), Some("iOS" | "Android"));
    if let Some(rule) = rule_of(&lower) {
        let name = rule.name.map_or_else(|| product(text), |name| Some(name.to_owned()));
        let category = match rule.category {
            Category::DesktopApp if is_mobile => Category::MobileApp,
            category => category,
        };
        return UserAgent { name, system, category: Some(category) };
    }
    let program = PARSERS.program(text);
    if !lower.starts_with("mozilla") && !lower.starts_with("opera/") {
        let category = is_mobile.then_some(Category::MobileApp);
        // A product with a version is the program's own name; else the collection may know a better one.
        let name = product(text).filter(|name| text[name.len()..].starts_with('/') || program.is_none());
        return UserAgent { name: name.or(program), system, category };
    }
    let category = match program.as_deref() {
        // Pages shown within another app.
        Some(name) if name.contains("WebView") => Some(Category::MobileApp),
        Some(_) => Some(Category::Browser),
        // All browsers begin like this, but only they say on what they run.
        None => lower.contains('(').then_some(Category::Browser),
    };
    UserAgent { name: program, system, category }
}

/// The first product of an agent, without its version.
fn product(text: &str) -> Option<String> {
    let product = text.split([' ', '/', '(', ',', ';']).next().unwrap_or_default();
    (!product.is_empty()).then(|| product.to_owned())
}

#[cfg(test)]
mod tests;
