//! Calendar days: enough to promise a delivery and to say the day in words.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// A day, counted from 1970-01-01 (UTC). Written `YYYY-MM-DD`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Day(i64);

impl Day {
    /// The day it is.
    pub fn today() -> Self {
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
        Day((seconds / 86_400) as i64)
    }

    /// The day `working_days` after this one on which parcels are brought: Sundays don't count.
    pub fn after_working_days(self, working_days: u32) -> Self {
        let mut day = self;
        for _ in 0..working_days {
            day.0 += if day.weekday() == SATURDAY { 2 } else { 1 };
        }
        day
    }

    /// `Wednesday, 25 November`.
    pub fn in_words(self) -> String {
        let (_, month, day) = self.civil();
        format!("{}, {day} {}", WEEKDAYS[self.weekday()], MONTHS[month as usize - 1])
    }

    /// 0 is Monday.
    fn weekday(self) -> usize {
        (self.0 + 3).rem_euclid(7) as usize
    }

    /// Year, month, day: `civil_from_days` of Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".
    fn civil(self) -> (i64, i64, i64) {
        let z = self.0 + 719_468;
        let era = z.div_euclid(146_097);
        let doe = z.rem_euclid(146_097);
        let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
        let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
        let mp = (5 * doy + 2) / 153;
        let month = if mp < 10 { mp + 3 } else { mp - 9 };
        (yoe + era * 400 + i64::from(month <= 2), month, doy - (153 * mp + 2) / 5 + 1)
    }

    /// `days_from_civil` of the same source.
    fn from_civil(year: i64, month: i64, day: i64) -> Self {
        let year = year - i64::from(month <= 2);
        let era = year.div_euclid(400);
        let yoe = year.rem_euclid(400);
        let doy = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
        Day(era * 146_097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719_468)
    }
}

impl From<Day> for String {
    fn from(day: Day) -> String {
        let (year, month, day) = day.civil();
        format!("{year:04}-{month:02}-{day:02}")
    }
}

impl TryFrom<String> for Day {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let mut parts = text.splitn(3, '-').map(str::parse::<i64>);
        if let (Some(Ok(year)), Some(Ok(month)), Some(Ok(day))) = (parts.next(), parts.next(), parts.next()) {
            let made = Day::from_civil(year, month.clamp(1, 12), day);
            if String::from(made) == text {
                return Ok(made);
            }
        }
        Err(format!("`{text}` is not a day such as 2026-11-25"))
    }
}

const SATURDAY: usize = 5;
const WEEKDAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Day {
        Day::try_from(text.to_owned()).expect("a day")
    }

    #[test]
    fn days_read_as_they_are_written() {
        for text in ["1970-01-01", "2000-02-29", "2026-11-25", "2100-03-01"] {
            assert_eq!(String::from(day(text)), text);
        }
        for bad in ["2026-02-30", "2026-13-01", "today", "2026-11", ""] {
            assert!(Day::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }

    #[test]
    fn sundays_bring_no_parcels() {
        assert_eq!(day("2026-11-21").in_words(), "Saturday, 21 November");
        assert_eq!(day("2026-11-20").after_working_days(2), day("2026-11-23"));
        assert_eq!(day("2026-11-22").after_working_days(1), day("2026-11-23"));
    }
}
