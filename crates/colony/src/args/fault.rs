//! The command line of `colony fault`, and how its values are read.

use std::time::Duration;

use clap::{ArgGroup, Args as ClapArgs, Subcommand};
use policy::fault::Scope;

use super::{Json, duration};

/// Make calls fail on purpose, to see what their policies make of it
///
/// A fault strikes tries as if the instance behaved so: timeouts, retries, breaker, ejection and fallback see it
/// as they would see an instance that is ill. Each has an end, and ends with `colony up` at the latest.
#[derive(Debug, ClapArgs)]
pub(crate) struct Fault {
    #[command(subcommand)]
    pub(crate) what: FaultCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum FaultCommand {
    Add(Box<AddFault>),
    /// Show the faults in force, and how often each struck
    List(Json),
    Clear(ClearFault),
}

/// Have a fault strike from now on
///
/// A delay can be given alone or with any of the others, of which there can be one. Several faults on the same call
/// each strike by themselves.
#[derive(Debug, ClapArgs)]
#[command(group(ArgGroup::new("effect").args(["delay", "abort", "abort_grpc", "reset", "slow_body"]).required(true).multiple(true)))]
#[command(group(ArgGroup::new("end").args(["abort", "abort_grpc", "reset", "slow_body"])))]
#[command(after_help = "colony fault add payments --reset --percent 10\n\
    colony fault add \"checkout -> payments\" --delay 200ms --percent 20 --header x-test=1 --for 5m")]
pub(crate) struct AddFault {
    /// The call as `colony status` names it, such as "checkout -> payments"; or a service, for all calls to it
    pub(crate) on: String,
    /// The instance takes so much longer: a time, or a range such as 100ms-300ms
    #[arg(long, value_name = "TIME", value_parser = range, allow_hyphen_values = true)]
    pub(crate) delay: Option<Range>,
    /// It answers this status, from 400 to 599; it does not get the request
    #[arg(long, value_name = "STATUS", allow_negative_numbers = true)]
    pub(crate) abort: Option<u16>,
    /// It answers this status of gRPC, such as unavailable or 14; it does not get the request
    #[arg(long, value_name = "STATUS", value_parser = grpc_status)]
    pub(crate) abort_grpc: Option<u16>,
    /// Its connection is lost before it answers; it does not get the request
    #[arg(long)]
    pub(crate) reset: bool,
    /// Its answer's body comes at this rate, such as 10KiB/s
    #[arg(long, value_name = "RATE", value_parser = rate, allow_hyphen_values = true)]
    pub(crate) slow_body: Option<u64>,
    /// How many of the tries it strikes, by chance
    #[arg(long, value_name = "N", default_value = "100", value_parser = percent, allow_hyphen_values = true)]
    pub(crate) percent: f64,
    /// Only requests with this header: NAME or NAME=VALUE; may be given more than once, all of which must be there
    #[arg(long, value_name = "HEADER", value_parser = header)]
    pub(crate) header: Vec<Header>,
    /// Only this method; may be given more than once, any of which will do
    #[arg(long, value_name = "METHOD", value_parser = method)]
    pub(crate) method: Vec<String>,
    /// Only this path and what is below it, as the service gets it
    #[arg(long, value_name = "PATH", value_parser = path)]
    pub(crate) path: Option<String>,
    /// How long, 24h at most
    #[arg(long = "for", value_name = "TIME", default_value = "10m", value_parser = duration, allow_hyphen_values = true)]
    pub(crate) lasts: Duration,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// End a fault before its time
#[derive(Debug, ClapArgs)]
#[command(group(ArgGroup::new("which").args(["id", "all"]).required(true)))]
pub(crate) struct ClearFault {
    /// Its number
    pub(crate) id: Option<u64>,
    /// All of them
    #[arg(long)]
    pub(crate) all: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// From the least to the most, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Range(pub(crate) [u64; 2]);

/// A name, and a value if it matters.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Header(pub(crate) (String, Option<String>));

fn range(text: &str) -> Result<Range, String> {
    // What begins with a minus is no range.
    let split = text.split_once('-').filter(|(least, _)| !least.is_empty());
    let (least, most) = split.unwrap_or((text, text));
    Ok(Range([millis(least)?, millis(most)?]))
}

fn millis(text: &str) -> Result<u64, String> {
    let duration = duration(text.trim())?;
    match duration.subsec_nanos() % 1_000_000 {
        0 => Ok(duration.as_millis() as u64),
        _ => Err("a delay is in whole milliseconds".to_owned()),
    }
}

fn grpc_status(text: &str) -> Result<u16, String> {
    let wanted = text.to_ascii_lowercase().replace('_', "-");
    let known = manifest::valid::GRPC_STATUSES.iter();
    let mut known = known.filter(|(number, name)| *name == wanted || number.to_string() == wanted);
    known.next().map(|(number, _)| *number).ok_or_else(|| {
        "no failure of gRPC; write a name such as unavailable or deadline-exceeded, or 1 to 16".to_owned()
    })
}

fn rate(text: &str) -> Result<u64, String> {
    let size = text.strip_suffix("/s").unwrap_or(text);
    let split = size.find(|c: char| !c.is_ascii_digit()).unwrap_or(size.len());
    let (digits, unit) = size.split_at(split);
    let unit = match unit.trim() {
        "" | "B" => 1,
        "KB" => 1_000,
        "KiB" => 1 << 10,
        "MB" => 1_000_000,
        "MiB" => 1 << 20,
        _ => 0,
    };
    let rate = digits.parse::<u64>().ok().and_then(|count| count.checked_mul(unit));
    rate.filter(|rate| *rate > 0).ok_or_else(|| "no rate; write for example 500B/s or 10KiB/s".to_owned())
}

fn percent(text: &str) -> Result<f64, String> {
    let digits = text.strip_suffix('%').unwrap_or(text).trim();
    let percent = digits.parse::<f64>().ok().filter(|percent| *percent > 0.0 && *percent <= 100.0);
    percent.ok_or_else(|| "a percentage is more than 0 and at most 100".to_owned())
}

fn header(text: &str) -> Result<Header, String> {
    let split = text.find(['=', ':']);
    let (name, value) =
        split.map_or((text, None), |at| (&text[..at], Some(text[at + 1..].trim().to_owned())));
    let header = (name.trim().to_ascii_lowercase(), value);
    Scope::new(Vec::new(), None, vec![header.clone()])
        .map(|_| Header(header))
        .map_err(|why| format!("{why}; write NAME or NAME=VALUE"))
}

fn method(text: &str) -> Result<String, String> {
    let method = text.to_ascii_uppercase();
    Scope::new(vec![method.clone()], None, Vec::new()).map(|_| method)
}

fn path(text: &str) -> Result<String, String> {
    let above = match text.strip_suffix("/**") {
        Some("") => "/",
        Some(above) => above,
        None => text,
    };
    Scope::new(Vec::new(), Some(above.to_owned()), Vec::new()).map(|_| above.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_people_write_them() {
        assert_eq!(range("200ms"), Ok(Range([200, 200])));
        assert_eq!(range("100ms-1s"), Ok(Range([100, 1000])));
        assert_eq!(grpc_status("DEADLINE_EXCEEDED"), Ok(4));
        assert_eq!(grpc_status("14"), Ok(14));
        assert_eq!((rate("10KiB/s"), rate("500"), rate("1MB")), (Ok(10_240), Ok(500), Ok(1_000_000)));
        assert_eq!((percent("20"), percent("0.5%")), (Ok(20.0), Ok(0.5)));
        assert_eq!(header("X-Test: 1"), Ok(Header(("x-test".into(), Some("1".into())))));
        assert_eq!(header("x-test=a:b"), Ok(Header(("x-test".into(), Some("a:b".into())))));
        assert_eq!(header("x-test"), Ok(Header(("x-test".into(), None))));
        assert_eq!((method("get").as_deref(), path("/a/**").as_deref()), (Ok("GET"), Ok("/a")));
        assert_eq!(path("/**").as_deref(), Ok("/"));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        assert!(range("-5s").unwrap_err().starts_with("a time is not negative"));
        assert!(range("100us").is_err() && range("1s-").is_err() && range("soon").is_err());
        assert!(grpc_status("ok").is_err() && grpc_status("0").is_err());
        assert!(rate("0").is_err() && rate("fast").is_err() && rate("99999999999999999999MB").is_err());
        assert!(percent("0").is_err() && percent("101").is_err() && percent("NaN").is_err());
        assert!(header("a b=1").is_err() && header("a=\x1b[2J").is_err() && method("G T").is_err());
        assert!(path("orders").is_err() && path("/a/*/b").is_err());
    }
}
