//! Writes a report as XML, as JUnit does and CI systems read it.

use super::Tested;
use crate::failure::Failure;
use std::{
    fmt::{self, Write as _},
    fs,
    path::Path,
    time::Duration,
};

pub(super) fn write(path: &Path, tests: &Path, all: &[Tested]) -> Result<(), Failure> {
    let report = report(&tests.display().to_string(), all);
    fs::write(path, report).map_err(|error| Failure::unwritable(path, &error))
}

/// Returns the report of one suite.
fn report(suite: &str, all: &[Tested]) -> String {
    let failures = all.iter().filter(|one| !one.passed()).count();
    let time: Duration = all.iter().map(|one| one.time).sum();
    let (suite, time, count) = (Xml(suite), time.as_secs_f64(), all.len());
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <testsuites>\n  <testsuite name=\"{suite}\" tests=\"{count}\" failures=\"{failures}\" errors=\"0\" skipped=\"0\" time=\"{time:.6}\">\n"
    );
    for one in all {
        let (name, time) = (Xml(&one.name), one.time.as_secs_f64());
        // Writing to a String does not fail.
        let _ = write!(
            text,
            "    <testcase name=\"{name}\" classname=\"{suite}\" time=\"{time:.6}\""
        );
        let _ = match one.differences.first() {
            None => writeln!(text, "/>"),
            Some(first) => {
                let (first, lines) = (Xml(first), one.differences.join("\n"));
                let lines = Xml(&lines);
                writeln!(
                    text,
                    ">\n      <failure message=\"{first}\">{lines}</failure>\n    </testcase>"
                )
            }
        };
    }
    text.push_str("  </testsuite>\n</testsuites>\n");
    text
}

/// A text that is written as characters of XML.
struct Xml<'a>(&'a str);

impl fmt::Display for Xml<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|character| match character {
            '&' => f.write_str("&amp;"),
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            '"' => f.write_str("&quot;"),
            '\n' => f.write_char('\n'),
            // XML 1.0 has none of the others, not even as references.
            character if character.is_control() || matches!(character, '\u{fffe}' | '\u{ffff}') => {
                write!(f, "{}", character.escape_default())
            }
            character => f.write_char(character),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Tested, report};
    use std::time::Duration;

    #[test]
    fn a_report_is_xml_whatever_the_names() {
        let tested = |name: &str, differences: &[&str]| Tested {
            name: name.into(),
            differences: differences.iter().map(|line| (*line).into()).collect(),
            fuel: 1,
            time: Duration::from_millis(500),
        };
        let all = [
            tested("a & \"b\"\u{1b}", &[]),
            tested("c", &["<1>", "]]> 2"]),
        ];
        assert_eq!(
            report("tests.toml", &all),
            r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites>
  <testsuite name="tests.toml" tests="2" failures="1" errors="0" skipped="0" time="1.000000">
    <testcase name="a &amp; &quot;b&quot;\u{1b}" classname="tests.toml" time="0.500000"/>
    <testcase name="c" classname="tests.toml" time="0.500000">
      <failure message="&lt;1&gt;">&lt;1&gt;
]]&gt; 2</failure>
    </testcase>
  </testsuite>
</testsuites>
"#
        );
    }
}
