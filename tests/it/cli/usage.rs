//! What holds for all commands: help, usage errors, the data directory.

use anomalake::cli::Cli;
use clap::CommandFactory;

use super::lake::{Lake, anomalake, run};

/// The arguments that lead to every command that does something.
fn leaves(command: &clap::Command, path: &[String]) -> Vec<Vec<String>> {
    let below: Vec<_> = command.get_subcommands().filter(|sub| sub.get_name() != "help").collect();
    if below.is_empty() {
        return vec![path.to_vec()];
    }
    below.iter().flat_map(|sub| leaves(sub, &[path, &[sub.get_name().to_owned()]].concat())).collect()
}

/// A line as a shell splits it, as far as a pipe, redirection or closing parenthesis.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
    for c in line.chars().chain([' ']) {
        match c {
            c if quote == Some(c) => quote = None,
            '"' | '\'' if quote.is_none() => quote = Some(c),
            '|' | '>' | ')' if quote.is_none() => {
                words.extend((!word.is_empty()).then_some(word));
                return words;
            }
            ' ' if quote.is_none() => words.extend((!word.is_empty()).then(|| std::mem::take(&mut word))),
            c => word.push(c),
        }
    }
    words
}

#[tokio::test]
async fn every_command_helps_with_examples_that_are_right() {
    let commands = leaves(&Cli::command(), &[]);
    assert!(commands.len() >= 20, "{commands:?}");
    for command in commands.iter().map(Vec::as_slice).chain([&[][..]]) {
        let path: Vec<&str> = command.iter().map(String::as_str).collect();
        let mut command = anomalake(&[&path[..], &["--help"]].concat());
        // What a terminal this narrow wraps cannot be pasted.
        command.env("COLUMNS", "80");
        let help = run(command, "").await.said().replace(" \\\n", " ");
        let examples = help.split_once("\nExample").unwrap_or_else(|| panic!("{path:?} has no example")).1;
        let called = ["anomalake"].iter().chain(&path).copied().collect::<Vec<_>>().join(" ");
        let mut shown = 0;
        for line in examples.lines() {
            let Some(start) = line.find("anomalake ").filter(|at| !line[..*at].contains('#')) else { continue };
            let line = &line[start..];
            shown += usize::from(line.starts_with(&called));
            let parsed = Cli::command().try_get_matches_from(words(line));
            assert!(parsed.is_ok(), "{path:?}: {line}: {}", parsed.unwrap_err());
        }
        assert!(shown > 0, "{path:?}: {examples}");
    }
}

#[tokio::test]
async fn wrong_calls_exit_2_and_print_on_stderr_only() {
    let lake = Lake::alone().await;
    for wrong in [
        &["tenant", "create", "--id", "0", "--name", "Zero"][..],
        &["tenant", "create", "--name", "No id"],
        &["tenant", "set", "5618"],
        &["tenant", "set", "5618", "--anomalous-activity", "maybe"],
        &["tenant", "set", "5618", "--recency", "12"],
        &["tenant", "drop"],
        &["user", "create", "--tenant", "5618", "--role", "reader"],
        &["token", "create", "--tenant", "5618"],
        &["token", "revoke", "--tenant", "5618", "first"],
        &["ingest", "--tenant", "5618"],
        &["ingest", "--tenant", "5618", "--format", "xml", "-"],
        &["ingest", "--tenant", "5618", "--on-error", "ignore", "-"],
        &["anomaly", "show", "--tenant", "5618"],
        &["export", "--tenant", "5618", "--anomaly", "1", "--format", "xlsx"],
        &["exports", "create", "--tenant", "5618"],
        &["exports", "create", "--tenant", "5618", "--anomaly", "1", "--sql", "select 1"],
        &["exports", "create", "--tenant", "5618", "--anomaly", "1", "--param", "1=2"],
        &["exports", "create", "--tenant", "5618", "--anomaly", "1", "--format", "xlsx"],
        &["exports", "download", "--tenant", "5618"],
        &["sql", "--tenant", "5618", "select 1", "--param", "1"],
        &["sql", "--tenant", "5618", "select 1", "--param", "2=x"],
        &["sql", "--tenant", "5618", "select 1", "--timeout", "20"],
        &["sql", "--tenant", "5618", " ; -- nothing"],
        &["sql", "select 1"],
        &["audit"],
        &["completions", "nosh"],
        &["serve", "--listen", "0.0.0.0:0"],
        &["serve", "--listen", "[::]:0"],
        &["demo", "--listen", "0.0.0.0:0"],
    ] {
        lake.run(wrong).await.refused(2);
    }
    // Without a verb there is nothing wrong to name; the help is shown.
    for group in [&[][..], &["tenant"], &["user"], &["token"], &["anomaly"], &["exports"]] {
        let ran = lake.run(group).await;
        assert_eq!((ran.code, &*ran.stdout), (Some(2), ""), "{group:?}");
        assert!(ran.stderr.contains("Usage: anomalake"), "{ran:?}");
    }
}

#[tokio::test]
async fn the_data_directory_is_an_argument_or_a_variable() {
    let (lake, other) = (Lake::alone().await, Lake::alone().await);
    other.run(&["tenant", "create", "--id", "7", "--name", "Seven"]).await.said();
    let data = other.dir.data().display().to_string();
    lake.run(&["tenant", "show", "7"]).await.failed();
    lake.run(&["--data-dir", &data, "tenant", "show", "7"]).await.said();
    lake.run(&["tenant", "show", "7", "--data-dir", &data]).await.said();
    let told = run(anomalake(&["tenant", "show", "7"]), "").await.refused(2);
    assert!(told.contains("--data-dir") && told.contains("ANOMALAKE_DATA_DIR"), "{told}");

    let absent = lake.place("absent");
    let told = lake.run(&["tenant", "list", "--data-dir", &absent]).await.failed();
    assert!(told.contains(&absent), "{told}");
    assert_eq!(lake.places().read_dir().unwrap().count(), 0, "a mistyped folder was made");
}

#[tokio::test]
async fn a_second_server_is_told_what_to_do() {
    let lake = Lake::served().await;
    let told = lake.run(&["serve", "--listen", "127.0.0.1:0"]).await.failed();
    assert!(told.contains("in use by process"), "{told}");
}

#[tokio::test]
async fn completions_name_the_commands() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = run(anomalake(&["completions", shell]), "").await.said();
        for word in ["tenant", "password-file"] {
            assert!(script.contains(word), "{shell} misses {word}");
        }
    }
}
