//! `anomalake tenant networks`, and `--config` of commands that do the work themselves.

use serde_json::{Value, json};

use super::lake::{Lake, anomalake, run};
use crate::enrichment::{cities, systems};

const NETWORKS: [&str; 2] = ["tenant", "networks"];

#[tokio::test]
async fn networks_are_added_shown_and_removed() {
    for lake in Lake::both().await {
        let networks = async |more: &[&str]| lake.run(&[&NETWORKS[..], more].concat()).await;
        let added = networks(&["add", "5618", "203.0.113.0/24", "2001:DB8:7::/48", "--reason", "Head office"]).await;
        assert_eq!(added.said(), "added 2 networks, changed 0; the next ingest follows it\n");
        networks(&["add", "5618", "as64500", "--entity", "Acme IT"]).await.said();
        let added = networks(&["add", "5618", "203.0.113.0/24", "203.0.113.64/26", "--untrusted"]).await.said();
        assert_eq!(added, "added 1 network, changed 1; the next ingest follows it\n");
        let shown = networks(&["show", "5618"]).await.said();
        let shown: Vec<Vec<&str>> = shown.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(
            shown,
            [
                vec!["NETWORK", "TRUSTED", "ENTITY", "REASON"],
                vec!["203.0.113.0/24", "no", "Example", "Untrusted", "Network"],
                vec!["203.0.113.64/26", "no", "Example", "Untrusted", "Network"],
                vec!["2001:db8:7::/48", "yes", "Example", "Head", "office"],
                vec!["AS64500", "yes", "Acme", "IT", "Trusted", "Network"],
            ]
        );
        assert_eq!(networks(&["remove", "5618", "AS64500", "203.0.113.0/24"]).await.said(), "removed 2 networks\n");
        let json: Value = serde_json::from_str(&networks(&["show", "5618", "--format", "json"]).await.said()).unwrap();
        assert_eq!(
            json[1],
            json!({ "network": "2001:db8:7::/48", "trusted": true, "entity": "Example", "reason": "Head office" })
        );
        let gone = networks(&["remove", "5618", "AS64500", "203.0.113.64/26"]).await;
        assert_eq!((gone.code, &*gone.stdout), (Some(1), "removed 1 network\n"));
        assert!(gone.stderr.contains("not among the tenant's networks: AS64500\nhint: "), "{}", gone.stderr);
        let told = networks(&["add", "5618", "203.0.113.7/24"]).await.refused(2);
        assert!(told.contains("write 203.0.113.0/24 for all of it"), "{told}");
        assert!(networks(&["show", "8"]).await.failed().contains("there is no tenant 8"));
    }
}

#[tokio::test]
async fn a_command_without_a_server_enriches_with_the_databases_of_its_settings() {
    let lake = Lake::alone().await;
    cities().save(&lake.places().join("city.mmdb"));
    systems().save(&lake.places().join("asn.mmdb"));
    // Relative to the settings file, wherever the command runs.
    let config = lake.file("anomalake.toml", "[enrichment]\ndatabases = [\"city.mmdb\", \"asn.mmdb\"]\n");
    let record = json!({ "eventTime": "2026-11-20T10:00:00Z", "sourceIPAddress": "96.127.68.39" });
    let log = lake.file("log.json", record.to_string());
    let tried = run(anomalake(&["source", "test", "cloudtrail", &log, "--config", &config]), "").await.said();
    for line in ["  country: US\n", "  asn: 16509\n", "  country                  100.0 %\n"] {
        assert!(tried.contains(line), "no {line} in {tried}");
    }
    let load = ["ingest", "--tenant", "5618", "--source", "cloudtrail"];
    lake.run(&[&load[..], &["--config", &config, &log]].concat()).await.said();
    let mut command = lake.command(&[&load[..], &["--again", &log]].concat());
    command.env("ANOMALAKE_CONFIG", &config);
    run(command, "").await.said();
    lake.run(&[&load[..], &["--again", &log]].concat()).await.said();
    let countries = [
        "sql",
        "--tenant",
        "5618",
        "--format",
        "csv",
        "select country, asn, count(*) as n from activities group by 1, 2 order by n desc",
    ];
    let counted = lake.run(&countries).await.said();
    assert_eq!(counted.lines().skip(1).collect::<Vec<_>>(), ["US,16509,2", ",,1"]);
    let told = lake.run(&[&load[..], &["--config", &lake.place("none.toml"), &log]].concat()).await.refused(1);
    assert!(told.contains("cannot read the settings file"), "{told}");
    std::fs::remove_file(lake.places().join("asn.mmdb")).unwrap();
    let told = lake.run(&[&load[..], &["--config", &config, &log]].concat()).await.refused(1);
    assert!(told.contains("asn.mmdb; put the file there, or take it out of `databases` under [enrichment]"), "{told}");
}
