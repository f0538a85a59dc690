use std::cell::RefCell;

use serde_json::json;

use crate::Run;
use crate::client::Client;
use crate::lake::{LARGE, Lake, SMALL, short};
use crate::measure::{Contestant, Times, rounds};
use crate::report::Line;

pub fn run(run: &mut Run) -> Vec<Line> {
    let mut sizes = run.args.lakes.clone();
    sizes.sort_unstable();
    let lakes: Vec<Lake> = sizes.iter().map(|rows| Lake::open(&run.args.work, *rows)).collect();
    // Every lake holds an anomaly of this size.
    let rows = lakes.iter().map(|lake| lake.anomaly_of(LARGE).1).min().unwrap_or(0);
    let runtime = &run.runtime;
    let first_rows = RefCell::new(vec![Vec::new(); lakes.len()]);
    let clients: Vec<RefCell<Client>> = lakes
        .iter()
        .map(|lake| RefCell::new(runtime.block_on(Client::connect(lake.server.address, &lake.server.token))))
        .collect();
    let mut contestants: Vec<Contestant<'_>> = Vec::new();
    for (place, (lake, client)) in lakes.iter().zip(&clients).enumerate() {
        let (large, small) = (lake.anomaly_of(rows).0, lake.anomaly_of(SMALL).0);
        let first_rows = &first_rows;
        contestants.push((
            "export".to_owned(),
            Box::new(move || {
                let seen = runtime.block_on(client.borrow_mut().query_activities(large, "identity"));
                first_rows.borrow_mut()[place].push(seen.first_row.as_secs_f64());
                seen.whole.as_secs_f64()
            }),
        ));
        contestants.push((
            "small".to_owned(),
            Box::new(move || {
                runtime.block_on(client.borrow_mut().query_activities(small, "identity")).whole.as_secs_f64()
            }),
        ));
        let user = &lake.user_of(SMALL).user;
        let lookup = json!({
            "sql": "SELECT timeStamp, actionName, sourceIP, fileName FROM activities WHERE userKey = $user \
                ORDER BY timeStamp DESC LIMIT 1000",
            "params": { "user": user },
        });
        contestants.push((
            "lookup".to_owned(),
            Box::new(move || runtime.block_on(client.borrow_mut().sql(&lookup)).whole.as_secs_f64()),
        ));
    }
    let times = rounds(usize::from(run.args.pairs), &mut contestants);
    drop(contestants);
    let first: Vec<Times> =
        first_rows.borrow().iter().map(|times| Times::of(times.iter().skip(1).copied().collect())).collect();
    let of = |name: &str| -> Vec<&Times> { times.iter().filter(|(n, _)| n == name).map(|(_, times)| times).collect() };
    let kinds = [
        (format!("export of {rows} rows"), of("export")),
        ("its first row".to_owned(), first.iter().collect()),
        ("anomaly of 30 rows".to_owned(), of("small")),
        ("SQL, newest 1,000 of a user".to_owned(), of("lookup")),
    ];
    let mut lines = Vec::new();
    for (place, (name, times)) in kinds.iter().enumerate() {
        let curve = sizes.iter().copied().zip(times.iter().map(|times| times.median())).collect();
        run.curves.insert(name.clone(), curve);
        for (size, larger) in sizes.iter().zip(times).skip(1) {
            let work = format!("{name}, lake of {} rows", short(*size));
            let line = Line::times(work, larger, &format!("lake of {}", short(sizes[0])), times[0]);
            lines.push(if place == 0 { line.bar(1.2, 1.05) } else { line });
        }
    }
    lines
}
