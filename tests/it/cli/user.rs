//! `anomalake user`.

use serde_json::{Value, json};

use super::lake::{Lake, run};

const ANN: &str = "ann@example.com";

async fn sign_in(lake: &Lake, password: &str) -> u16 {
    lake.http(async |api| api.basic(ANN, password).get("/api/v1/anomalies").await.status).await
}

async fn create(lake: &Lake, password: &str) -> super::lake::Ran {
    lake.pipe(&["user", "create", "--tenant", "5618", "--email", ANN, "--role", "reader"], password).await
}

async fn on(lake: &Lake, verb: &str) {
    lake.run(&["user", verb, "--email", ANN]).await.said();
}

#[tokio::test]
async fn one_newline_does_not_belong_to_the_password() {
    for lake in Lake::both().await {
        assert_eq!(create(&lake, "8 chars \n").await.said(), format!("created user {ANN} as reader of tenant 5618\n"));
        assert_eq!(sign_in(&lake, "8 chars ").await, 200);
        assert_eq!(sign_in(&lake, "8 chars \n").await, 401);
        let told = create(&lake, "other password").await.refused(1);
        assert!(told.contains("already exists"), "{told}");
        assert_eq!(sign_in(&lake, "8 chars ").await, 200);
    }
}

#[tokio::test]
async fn short_and_absent_passwords_are_refused() {
    for lake in Lake::both().await {
        let told = create(&lake, "7 chars\n").await.failed();
        assert!(told.contains("at least 8 characters"), "{told}");
        for nothing in ["", "\n"] {
            assert!(create(&lake, nothing).await.failed().contains("there is no password"));
        }
        assert_eq!(lake.run(&["user", "list", "--format", "json"]).await.said(), "[]\n");
        create(&lake, "long enough").await.said();
        let told = lake.pipe(&["user", "passwd", "--email", ANN], "short").await.failed();
        assert!(told.contains("at least 8 characters"), "{told}");
        assert_eq!(sign_in(&lake, "long enough").await, 200);
    }
}

#[tokio::test]
async fn a_password_file_stands_in_for_stdin() {
    for lake in Lake::both().await {
        let file = lake.file("password", "from a file\n");
        let create = ["user", "create", "--tenant", "5618", "--email", ANN, "--role", "reader", "--password-file"];
        lake.pipe(&[&create[..], &[&*file]].concat(), "from stdin").await.said();
        assert_eq!(sign_in(&lake, "from a file").await, 200);
        let file = lake.file("password", "another one");
        lake.run(&["user", "passwd", "--email", ANN, "--password-file", &file]).await.said();
        assert_eq!(sign_in(&lake, "another one").await, 200);
        let absent = lake.place("absent");
        let told = lake.run(&["user", "passwd", "--email", ANN, "--password-file", &absent]).await.refused(1);
        assert!(told.contains(&absent), "{told}");
    }
}

#[tokio::test]
async fn a_server_refuses_at_once_who_is_disabled_and_an_old_password() {
    let lake = Lake::served().await;
    create(&lake, "first password").await.said();
    assert_eq!(sign_in(&lake, "first password").await, 200);
    on(&lake, "disable").await;
    assert_eq!(sign_in(&lake, "first password").await, 401);
    on(&lake, "enable").await;
    assert_eq!(sign_in(&lake, "first password").await, 200);
    lake.pipe(&["user", "passwd", "--email", ANN], "second password\n").await.said();
    assert_eq!(sign_in(&lake, "first password").await, 401);
    assert_eq!(sign_in(&lake, "second password").await, 200);
    lake.run(&["user", "revoke", "--tenant", "5618", "--email", ANN]).await.said();
    assert_ne!(sign_in(&lake, "second password").await, 200);
}

#[tokio::test]
async fn roles_are_given_and_taken() {
    for lake in Lake::both().await {
        let listed = async |arguments: &[&str]| -> Value {
            let ran = lake.run(&[&["user", "list", "--format", "json"][..], arguments].concat()).await;
            serde_json::from_str(&ran.said()).unwrap()
        };
        create(&lake, "long enough").await.said();
        lake.run(&["tenant", "create", "--id", "7", "--name", "Seven"]).await.said();
        assert_eq!(listed(&["--tenant", "7"]).await, json!([]));
        lake.run(&["user", "grant", "--tenant", "7", "--email", ANN, "--role", "manager"]).await.said();
        lake.run(&["user", "grant", "--tenant", "5618", "--email", ANN, "--role", "admin"]).await.said();
        let (seven, example) = (json!({"tenant": 7, "role": "manager"}), json!({"tenant": 5618, "role": "admin"}));
        assert_eq!(listed(&["--tenant", "7"]).await[0]["roles"], json!([seven, example]));
        lake.run(&["user", "revoke", "--tenant", "5618", "--email", ANN]).await.said();
        on(&lake, "disable").await;
        let user = &listed(&[]).await[0];
        assert_eq!((&user["enabled"], &user["roles"]), (&json!(false), &json!([seven])));
        let table = lake.run(&["user", "list"]).await.said();
        assert!(table.lines().nth(1).unwrap().starts_with("ann@example.com  no       7:manager"), "{table}");

        for wrong in [
            &["user", "revoke", "--tenant", "5618", "--email", ANN][..],
            &["user", "disable", "--email", "bob@example.com"],
            &["user", "grant", "--tenant", "8", "--email", ANN, "--role", "reader"],
            &["user", "list", "--tenant", "8"],
        ] {
            lake.run(wrong).await.failed();
        }
        lake.run(&["user", "grant", "--tenant", "7", "--email", ANN, "--role", "king"]).await.refused(2);
    }
}

#[tokio::test]
async fn secrets_are_no_arguments_and_not_logged() {
    for lake in Lake::both().await {
        let create = ["user", "create", "--tenant", "5618", "--email", ANN, "--role", "reader"];
        let told = lake.run(&[&create[..], &["--password=kept secret"]].concat()).await.refused(2);
        assert!(!told.contains("kept secret"), "{told}");
        let traced = async |arguments: &[&str], stdin: &str| {
            let mut command = lake.command(arguments);
            command.env("RUST_LOG", "trace");
            let ran = run(command, stdin).await;
            assert_eq!(ran.code, Some(0), "{ran:?}");
            assert!(lake.is_served() || !ran.stderr.is_empty(), "it logged nothing: {ran:?}");
            ran
        };
        let mut logged = traced(&create, "kept secret\n").await.stderr;
        let made = traced(&["token", "create", "--tenant", "5618", "--scope", "activities:read"], "").await;
        logged.push_str(&made.stderr);
        logged.push_str(&traced(&["user", "passwd", "--email", ANN], "kept secret too").await.stderr);
        assert_eq!(sign_in(&lake, "kept secret too").await, 200);
        logged.push_str(&lake.dir.log());
        logged.push_str(&lake.run(&["audit", "--tenant", "5618", "--format", "json"]).await.said());
        for secret in ["kept secret", made.stdout.trim_end()] {
            assert!(!logged.contains(secret), "{secret} was logged");
        }
    }
}
