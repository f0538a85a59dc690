use crate::Run;
use crate::client::Client;
use crate::lake::{LARGE, Lake};
use crate::measure::{Contestant, rounds, timed};
use crate::report::Line;

/// So many exports, `at_once` under way at a time; every one must come whole.
async fn exports(lake: &Lake, count: usize, at_once: usize, bytes: u64) {
    let (anomaly, _) = lake.anomaly_of(LARGE);
    let tasks: Vec<_> = (0..at_once)
        .map(|_| {
            let (address, token) = (lake.server.address, lake.server.token.clone());
            tokio::spawn(async move {
                let mut client = Client::connect(address, &token).await;
                for _ in 0..count / at_once {
                    assert_eq!(
                        client.query_activities(anomaly, "identity").await.bytes,
                        bytes,
                        "an export is not whole"
                    );
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

pub fn run(run: &mut Run) -> Vec<Line> {
    let lake = Lake::open(&run.args.work, run.args.rows);
    let (anomaly, rows) = lake.anomaly_of(LARGE);
    let (runtime, at_once) = (&run.runtime, run.args.at_once);
    let bytes = runtime.block_on(async {
        let mut client = Client::connect(lake.server.address, &lake.server.token).await;
        client.query_activities(anomaly, "identity").await.bytes
    });
    let lake = &lake;
    let mut peak = None;
    let mut contestants: Vec<Contestant<'_>> = vec![
        (
            "many".to_owned(),
            Box::new(|| {
                let _ = lake.server.peak_memory();
                let (seconds, ()) = timed(|| runtime.block_on(exports(lake, at_once, at_once, bytes)));
                peak = peak.max(lake.server.peak_memory());
                seconds
            }),
        ),
        ("two".to_owned(), Box::new(|| timed(|| runtime.block_on(exports(lake, at_once, 2, bytes))).0)),
    ];
    let times = rounds(usize::from(run.args.pairs), &mut contestants);
    drop(contestants);
    let [(_, many), (_, two)] = times.try_into().unwrap();
    let work = format!("{at_once} exports of {rows} rows at once");
    let mut lines = vec![Line::times(&work, &many, "as many, two at once", &two).bar(1.0, 1.0)];
    if let Some(peak) = peak {
        let line = Line::figure(format!("{work}, peak memory of the server"), peak as f64 / 1e6, "MB");
        lines.push(line.bar(600.0, 300.0));
    }
    lines
}
