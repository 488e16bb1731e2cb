//! Bars in SVG, light or dark as the reader's system is.

use std::fmt::Write;

/// Bars of one case.
pub struct Bars {
    pub title: String,
    /// Name, value and printed value of each.
    pub bars: Vec<(&'static str, f64, String)>,
}

const WIDTH: f64 = 760.0;
const NAMES: f64 = 170.0;
const VALUES: f64 = 80.0;
const BAR: f64 = 17.0;
const TITLE: f64 = 30.0;

const STYLE: &str = "\
text{font:12px system-ui,sans-serif;fill:#24292f}.h{font-weight:600;font-size:14px}.t{font-weight:600}\
.n{text-anchor:end}.s{fill:#57606a}rect.b{fill:#fff}rect.o{fill:#8c959f}rect.u{fill:#0969da}\
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.s{fill:#8b949e}rect.b{fill:#0d1117}rect.o{fill:#6e7681}\
rect.u{fill:#58a6ff}}";

/// Draws bars whose lengths are logarithms: ten times as long a time is always as much longer a bar. hostel's are of
/// another colour.
pub fn draw(title: &str, cases: &[Bars]) -> String {
    let values = || {
        cases
            .iter()
            .flat_map(|case| case.bars.iter().map(|(_, value, _)| *value))
    };
    let least = values().fold(f64::MAX, f64::min) / 2.0;
    let most = values().fold(0.0, f64::max);
    let length = |value: f64| (WIDTH - NAMES - VALUES) * (value / least).ln() / (most / least).ln();
    let bars: usize = cases.iter().map(|case| case.bars.len()).sum();
    let height = 50.0 + TITLE * cases.len() as f64 + BAR * bars as f64;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{label}\">\
        <style>{STYLE}</style><rect class=\"b\" width=\"{WIDTH}\" height=\"{height}\"/>\
        <text class=\"h\" x=\"8\" y=\"22\">{label}</text>\n<text class=\"s\" x=\"8\" y=\"40\">shorter is better; \
        logarithmic</text>\n",
        label = escaped(title)
    );
    let mut y = 48.0;
    for case in cases {
        let _ = writeln!(
            svg,
            "<text class=\"t\" x=\"8\" y=\"{}\">{}</text>",
            y + 20.0,
            escaped(&case.title)
        );
        y += TITLE;
        for (name, value, printed) in &case.bars {
            let class = if *name == "hostel" { "u" } else { "o" };
            let length = length(*value);
            let _ = writeln!(
                svg,
                "<text class=\"n\" x=\"{}\" y=\"{}\">{}</text><rect class=\"{class}\" x=\"{NAMES}\" y=\"{y}\" \
                width=\"{length:.1}\" height=\"{}\"/><text x=\"{:.1}\" y=\"{}\">{}</text>",
                NAMES - 6.0,
                y + 11.5,
                escaped(name),
                BAR - 4.0,
                NAMES + length + 5.0,
                y + 11.5,
                escaped(printed)
            );
            y += BAR;
        }
    }
    svg + "</svg>\n"
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('"', "&quot;")
}
