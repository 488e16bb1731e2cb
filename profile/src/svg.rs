//! Draws a flame graph.

use crate::tree::Frame;
use hostel_core::Escaped;
use std::fmt::Write as _;

/// The picture's width, and the height of a frame, in pixels.
const WIDTH: f64 = 1200.0;
const HEIGHT: u64 = 18;

/// Frames below this width are left out: nobody sees them.
const LEAST: f64 = 0.1;

/// The width of a letter.
const LETTER: f64 = 7.0;

/// Returns a flame graph as a picture in SVG, in light and dark colours, 1,200 pixels wide. The first frame is the whole
/// call; frames that are narrower than a tenth of a pixel are left out.
#[must_use]
pub fn draw(title: &str, frames: &[Frame]) -> String {
    let all = frames.first().map_or(1, |whole| whole.fuel.max(1)) as f64;
    let shown = |one: &&Frame| one.fuel as f64 / all * WIDTH >= LEAST;
    let depth = frames.iter().filter(shown).map(|one| one.depth).max();
    let height = (depth.unwrap_or(0) + 1) * HEIGHT + 40;
    let title = xml(title);
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"monospace\" font-size=\"12\">\n\
         <style>svg{{background:#fff}}.t{{fill:#111}}rect{{stroke:#fff;stroke-width:.5}}g:hover rect{{stroke:#000}}\
         @media(prefers-color-scheme:dark){{svg{{background:#161616}}.t{{fill:#eee}}rect{{stroke:#161616}}}}</style>\n\
         <text class=\"t\" x=\"8\" y=\"20\">{title}</text>\n"
    );
    for one in frames.iter().filter(shown) {
        let (x, width) = (
            one.start as f64 / all * WIDTH,
            one.fuel as f64 / all * WIDTH,
        );
        let y = 32 + one.depth * HEIGHT;
        let percent = one.fuel as f64 / all * 100.0;
        let name = xml(&one.name);
        let (fuel, own, colour) = (one.fuel, one.own, colour(&one.name));
        let inner = HEIGHT - 1;
        // Writing to a String does not fail.
        let _ = write!(
            text,
            "<g><title>{name}: {fuel} fuel, {percent:.2} %, {own} of its own</title>\
             <rect x=\"{x:.2}\" y=\"{y}\" width=\"{width:.2}\" height=\"{inner}\" fill=\"{colour}\"/>"
        );
        let letters = ((width - 6.0) / LETTER).max(0.0) as usize;
        if letters >= 3 {
            let count = one.name.chars().count();
            let label: String = match count <= letters {
                true => one.name.clone(),
                false => one.name.chars().take(letters - 1).chain(['…']).collect(),
            };
            let (x, y, label) = (x + 3.0, y + 13, xml(&label));
            let _ = write!(
                text,
                "<text x=\"{x:.2}\" y=\"{y}\" fill=\"#111\">{label}</text>"
            );
        }
        text.push_str("</g>\n");
    }
    text.push_str("</svg>\n");
    text
}

/// Returns the colour of a name, a warm one: equal names have equal colours.
fn colour(name: &str) -> String {
    let hash = name.bytes().fold(0_u32, |hash, byte| {
        hash.wrapping_mul(31).wrapping_add(byte.into())
    });
    let (green, blue) = (120 + hash % 100, 60 + hash / 100 % 50);
    format!("#f0{green:02x}{blue:02x}")
}

/// Returns a text as characters of XML, on one line.
fn xml(text: &str) -> String {
    let visible = Escaped::new(text.as_bytes()).to_string();
    visible
        // XML 1.0 does not have these two, not even as references.
        .replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}")
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
