use crate::Run;
use crate::client::Client;
use crate::lake::{Lake, SMALL};
use crate::measure::Times;
use crate::report::Line;

/// Requests of all connections together, in each round.
const REQUESTS: usize = 256;

/// Times of the small anomaly's whole request, so many connections asking one after the other each.
pub async fn times(lake: &Lake, connections: usize, rounds: usize) -> Times {
    let (anomaly, _) = lake.anomaly_of(SMALL);
    let each = (REQUESTS / connections).max(1) * rounds;
    let tasks: Vec<_> = (0..connections)
        .map(|_| {
            let (address, token) = (lake.server.address, lake.server.token.clone());
            tokio::spawn(async move {
                let mut client = Client::connect(address, &token).await;
                let mut times = Vec::with_capacity(each);
                for request in 0..=each {
                    let seen = client.query_activities(anomaly, "identity").await;
                    if request > 0 {
                        times.push(seen.whole.as_secs_f64());
                    }
                }
                times
            })
        })
        .collect();
    let mut all = Vec::new();
    for task in tasks {
        all.extend(task.await.unwrap());
    }
    Times::of(all)
}

pub fn run(run: &mut Run) -> Vec<Line> {
    let lake = Lake::open(&run.args.work, run.args.rows);
    let (_, rows) = lake.anomaly_of(SMALL);
    let mut lines = Vec::new();
    for connections in &run.args.connections {
        let times = run.runtime.block_on(times(&lake, *connections, run.pairs()));
        let work = |what| format!("{rows}-row anomaly, whole request, {connections} connections, {what}");
        let median = Line::figure(work("p50"), times.median(), "s");
        lines.push(if *connections == 1 { Line { stretch: Some(0.002), ..median } } else { median });
        lines.push(Line::figure(work("p99"), times.at(990), "s"));
    }
    lines
}
