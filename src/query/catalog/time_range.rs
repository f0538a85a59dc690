//! Which moments a filter leaves, from any usual way to write it.
//!
//! Days and files are pruned by `day` and `timeStamp`; an analyst writes `time >= TIMESTAMP '…'`, `time::date = …`,
//! `date_trunc('hour', time) = …` or `timeStamp / 1000 > …`. The range found here holds every row that the filter
//! keeps, and may hold more: the filter itself stays in the plan.

use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{Between, BinaryExpr, Cast, Expr, Operator, TryCast};

use super::activities::TIME;
use crate::domain::activity::TIME_STAMP;
use crate::domain::day::DAY_MS;

/// Moments from `first` to `last`, both included, in ms since epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TimeRange {
    pub(super) first: i64,
    pub(super) last: i64,
}

/// How a value follows from a row's moment: `value` in ms lies at most `slack_ms` from it.
#[derive(Debug, Clone, Copy)]
struct Moment {
    kind: Kind,
    slack_ms: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A timestamp or a date.
    Time,
    /// A number that counts this many ms.
    Number { ms: i64 },
}

impl TimeRange {
    pub(super) const ALL: Self = Self { first: i64::MIN, last: i64::MAX };

    fn and(self, other: Self) -> Self {
        Self { first: self.first.max(other.first), last: self.last.min(other.last) }
    }

    fn or(self, other: Self) -> Self {
        if self.first > self.last {
            other
        } else if other.first > other.last {
            self
        } else {
            Self { first: self.first.min(other.first), last: self.last.max(other.last) }
        }
    }

    /// The moments that all of these filters leave.
    pub(super) fn of_all<'a>(filters: impl IntoIterator<Item = &'a Expr>) -> Self {
        filters.into_iter().fold(Self::ALL, |range, filter| range.and(Self::of(filter)))
    }

    fn of(filter: &Expr) -> Self {
        match filter {
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => Self::of(left).and(Self::of(right)),
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => Self::of(left).or(Self::of(right)),
            Expr::BinaryExpr(BinaryExpr { left, op, right }) => Self::compared(left, *op, right)
                .or_else(|| Self::compared(right, op.swap()?, left))
                .unwrap_or(Self::ALL),
            Expr::Between(Between { expr, negated: false, low, high }) => {
                let from = Self::compared(expr, Operator::GtEq, low).unwrap_or(Self::ALL);
                from.and(Self::compared(expr, Operator::LtEq, high).unwrap_or(Self::ALL))
            }
            Expr::InList(list) if !list.negated => {
                let each =
                    list.list.iter().map(|item| Self::compared(&list.expr, Operator::Eq, item).unwrap_or(Self::ALL));
                each.reduce(Self::or).unwrap_or(Self::ALL)
            }
            Expr::Alias(alias) => Self::of(&alias.expr),
            _ => Self::ALL,
        }
    }

    fn compared(value: &Expr, operator: Operator, literal: &Expr) -> Option<Self> {
        let Moment { kind, slack_ms } = moment(value)?;
        let (floor, ceil) = literal_ms(literal, kind)?;
        let exact = slack_ms == 0;
        let (low, high) = (floor.saturating_sub(slack_ms), ceil.saturating_add(slack_ms));
        let from = |first| Self { first, ..Self::ALL };
        let to = |last| Self { last, ..Self::ALL };
        Some(match operator {
            Operator::Eq | Operator::IsNotDistinctFrom => {
                if exact {
                    Self { first: ceil, last: floor }
                } else {
                    Self { first: low, last: high }
                }
            }
            Operator::Gt => from(if exact { floor.saturating_add(1) } else { low }),
            Operator::GtEq => from(if exact { ceil } else { low }),
            Operator::Lt => to(if exact { ceil.saturating_sub(1) } else { high }),
            Operator::LtEq => to(if exact { floor } else { high }),
            _ => return None,
        })
    }
}

/// How an expression follows from the row's moment.
fn moment(expression: &Expr) -> Option<Moment> {
    match expression {
        Expr::Column(column) if column.name == TIME => Some(Moment { kind: Kind::Time, slack_ms: 0 }),
        Expr::Column(column) if column.name == TIME_STAMP => Some(Moment { kind: Kind::Number { ms: 1 }, slack_ms: 0 }),
        Expr::Cast(Cast { expr, field }) | Expr::TryCast(TryCast { expr, field }) => {
            cast(moment(expr)?, field.data_type())
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Divide, right }) => {
            let Moment { kind: Kind::Number { ms }, slack_ms } = moment(left)? else { return None };
            let Expr::Literal(ScalarValue::Int64(Some(divisor @ 1..=86_400_000)), _) = right.as_ref() else {
                return None;
            };
            let ms = ms.checked_mul(*divisor)?;
            Some(Moment { kind: Kind::Number { ms }, slack_ms: slack_ms.checked_add(ms)? })
        }
        Expr::ScalarFunction(call) => called(call),
        Expr::Alias(alias) => moment(&alias.expr),
        _ => None,
    }
}

fn cast(inner: Moment, target: &DataType) -> Option<Moment> {
    let slack = |more: i64| Some(Moment { slack_ms: inner.slack_ms.checked_add(more)?, ..inner });
    match (inner.kind, target) {
        (Kind::Time, DataType::Timestamp(unit, zone)) => {
            // A change of zone moves the value by less than a day.
            let zoned = zone.as_ref().is_some_and(|zone| !matches!(zone.as_ref(), "UTC" | "+00:00" | "Z"));
            slack(if *unit == TimeUnit::Second { 1_000 } else { 0 } + if zoned { DAY_MS } else { 0 })
        }
        (Kind::Time, DataType::Date32 | DataType::Date64) => slack(DAY_MS),
        (Kind::Number { ms }, DataType::Timestamp(unit, None)) => {
            let unit_ms = match unit {
                TimeUnit::Second => 1_000,
                TimeUnit::Millisecond => 1,
                TimeUnit::Microsecond | TimeUnit::Nanosecond => return None,
            };
            (ms == unit_ms).then_some(Moment { kind: Kind::Time, ..inner })
        }
        // Whole numbers up to 2^53 are exact as doubles; later moments are not stored.
        (Kind::Number { .. }, DataType::Int64 | DataType::UInt64 | DataType::Float64 | DataType::Decimal128(..)) => {
            Some(inner)
        }
        _ => None,
    }
}

fn called(call: &ScalarFunction) -> Option<Moment> {
    let argument = |index: usize| call.args.get(index);
    match call.func.name() {
        "to_timestamp_millis" | "to_timestamp_seconds" | "to_timestamp" | "from_unixtime" if call.args.len() == 1 => {
            let inner = moment(argument(0)?)?;
            let counted_ms = if call.func.name() == "to_timestamp_millis" { 1 } else { 1_000 };
            match inner.kind {
                Kind::Time => Some(Moment { slack_ms: inner.slack_ms.checked_add(1_000)?, ..inner }),
                Kind::Number { ms } => (ms == counted_ms).then_some(Moment { kind: Kind::Time, ..inner }),
            }
        }
        "date_trunc" => {
            let inner = moment(argument(1)?).filter(|inner| inner.kind == Kind::Time)?;
            let Expr::Literal(unit, _) = argument(0)? else { return None };
            let span = match unit.try_as_str()??.to_ascii_lowercase().as_str() {
                "microsecond" | "millisecond" => 1,
                "second" => 1_000,
                "minute" => 60_000,
                "hour" => 3_600_000,
                "day" => DAY_MS,
                "week" => 7 * DAY_MS,
                "month" => 31 * DAY_MS,
                "quarter" => 92 * DAY_MS,
                "year" => 366 * DAY_MS,
                _ => return None,
            };
            Some(Moment { slack_ms: inner.slack_ms.checked_add(span)?, ..inner })
        }
        _ => None,
    }
}

/// A literal in ms, rounded down and up.
fn literal_ms(expression: &Expr, kind: Kind) -> Option<(i64, i64)> {
    let scalar = match expression {
        Expr::Literal(scalar, _) => scalar.clone(),
        Expr::Cast(Cast { expr, field }) | Expr::TryCast(TryCast { expr, field }) => {
            let Expr::Literal(scalar, _) = expr.as_ref() else { return None };
            scalar.cast_to(field.data_type()).ok()?
        }
        Expr::Alias(alias) => return literal_ms(&alias.expr, kind),
        _ => return None,
    };
    match kind {
        Kind::Number { ms } => {
            let number = match scalar {
                ScalarValue::Float64(Some(number)) => {
                    let down = (number * 1.0).floor();
                    return in_range(down)
                        .zip(in_range(number.ceil()))
                        .and_then(|(down, up)| Some((down.checked_mul(ms)?, up.checked_mul(ms)?)));
                }
                other => match other.cast_to(&DataType::Int64).ok()? {
                    ScalarValue::Int64(Some(number)) if scalar_is_whole(&other) => number,
                    _ => return None,
                },
            };
            let ms = number.checked_mul(ms)?;
            Some((ms, ms))
        }
        Kind::Time => {
            let (count, per_ms, ms_per) = match scalar {
                ScalarValue::TimestampSecond(Some(count), _) => (count, 1, 1_000),
                ScalarValue::TimestampMillisecond(Some(count), _) | ScalarValue::Date64(Some(count)) => (count, 1, 1),
                ScalarValue::TimestampMicrosecond(Some(count), _) => (count, 1_000, 1),
                ScalarValue::TimestampNanosecond(Some(count), _) => (count, 1_000_000, 1),
                ScalarValue::Date32(Some(days)) => (i64::from(days), 1, DAY_MS),
                _ => return None,
            };
            let floor = count.checked_mul(ms_per)?.div_euclid(per_ms);
            let whole = count.checked_mul(ms_per)?.rem_euclid(per_ms) == 0;
            Some((floor, if whole { floor } else { floor + 1 }))
        }
    }
}

fn scalar_is_whole(scalar: &ScalarValue) -> bool {
    scalar.data_type().is_integer()
}

fn in_range(number: f64) -> Option<i64> {
    #[expect(clippy::cast_possible_truncation, reason = "within the range of whole doubles")]
    (number.abs() < 9.0e15).then_some(number as i64)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::datatypes::{Field, Schema};
    use datafusion::prelude::{SessionConfig, SessionContext};

    use super::*;

    /// 2026-01-02T03:04:05Z.
    const T: i64 = 1_767_323_045_000;
    const HOUR: i64 = 3_600_000;

    /// The range of a condition as the optimizer hands it to a scan.
    async fn range(condition: &str) -> TimeRange {
        let mut config = SessionConfig::new();
        config.options_mut().sql_parser.enable_ident_normalization = false;
        let context = SessionContext::new_with_config(config);
        // It works on what stays above a scan.
        assert!(context.remove_optimizer_rule("common_sub_expression_eliminate"));
        let zone = Some("UTC".into());
        let schema = Arc::new(Schema::new(vec![
            Field::new(TIME_STAMP, DataType::Int64, false),
            Field::new(TIME, DataType::Timestamp(TimeUnit::Millisecond, zone), false),
        ]));
        let table = datafusion::datasource::MemTable::try_new(Arc::clone(&schema), vec![vec![]]).unwrap();
        context.register_table("t", Arc::new(table)).unwrap();
        let plan =
            context.sql(&format!("select * from t where {condition}")).await.unwrap().into_optimized_plan().unwrap();
        let mut filters = Vec::new();
        datafusion::common::tree_node::TreeNode::apply(&plan, |node| {
            if let datafusion::logical_expr::LogicalPlan::Filter(filter) = node {
                filters.push(filter.predicate.clone());
            }
            Ok(datafusion::common::tree_node::TreeNodeRecursion::Continue)
        })
        .unwrap();
        TimeRange::of_all(&filters)
    }

    #[tokio::test]
    async fn every_usual_way_to_write_it_is_understood() {
        let hour = TimeRange { first: T, last: T + HOUR - 1 };
        for condition in [
            format!("timeStamp >= {T} and timeStamp < {}", T + HOUR),
            format!("{T} <= timeStamp and {} > timeStamp", T + HOUR),
            format!("timeStamp between {T} and {}", T + HOUR - 1),
            "time >= '2026-01-02T03:04:05Z' and time < '2026-01-02T04:04:05Z'".to_owned(),
            "time >= timestamp '2026-01-02 03:04:05' and time < timestamp '2026-01-02 04:04:05'".to_owned(),
            "time >= '2026-01-02 03:04:05'::timestamp and time < '2026-01-02 03:04:05'::timestamp + interval '1 hour'".to_owned(),
            "time >= to_timestamp('2026-01-02T03:04:05Z') and not (time >= to_timestamp('2026-01-02T04:04:05Z'))".to_owned(),
            format!("timeStamp >= {T}.0 and timeStamp < cast({} as double)", T + HOUR),
            "to_timestamp_millis(timeStamp) >= timestamp '2026-01-02 03:04:05' and to_timestamp_millis(timeStamp) < timestamp '2026-01-02 04:04:05'".to_owned(),
            format!("(timeStamp >= {T} and timeStamp < {}) or (timeStamp > {} and timeStamp < {})", T + 5, T + 8, T + HOUR),
        ] {
            assert_eq!(range(&condition).await, hour, "{condition}");
        }
    }

    #[tokio::test]
    async fn coarser_values_leave_a_little_more() {
        let day = 1_767_312_000_000;
        for condition in [
            "time::date = '2026-01-02'",
            "cast(time as date) = date '2026-01-02'",
            "date_trunc('day', time) = '2026-01-02'",
            "timeStamp / 86400000 = 20455",
        ] {
            let found = range(condition).await;
            assert!(found.first <= day && found.last >= day + DAY_MS - 1, "{condition}: {found:?}");
            assert!(found.first >= day - DAY_MS && found.last <= day + 2 * DAY_MS, "{condition}: {found:?}");
        }
        for condition in
            [format!("timeStamp / 1000 >= {} and from_unixtime(timeStamp / 1000) <= '2026-01-02T03:04:05'", T / 1000)]
        {
            let found = range(&condition).await;
            assert!(
                found.first <= T && found.first >= T - 2_000 && found.last >= T && found.last < T + 3_000,
                "{condition}: {found:?}"
            );
        }
    }

    #[tokio::test]
    async fn what_is_not_understood_leaves_everything() {
        for condition in [
            "time is not null",
            "timeStamp % 7 = 1",
            "timeStamp <> 5",
            "timeStamp not between 1 and 2",
            "timeStamp = 1 or timeStamp % 7 = 1",
        ] {
            assert_eq!(range(condition).await, TimeRange::ALL, "{condition}");
        }
    }
}
