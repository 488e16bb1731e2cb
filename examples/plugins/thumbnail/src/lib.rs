//! Makes thumbnails: decodes a PNG or JPEG, scales it, and encodes a PNG. A faulty decoder can do harm in here only.

use hostel_guest::{Error, config, log};
use image::{ImageReader, Limits, imageops::FilterType};
use std::io::Cursor;

hostel_guest::plugin!(process);

/// Takes an image. Returns a PNG whose longer side has as many pixels as the setting `side` says; 128 by default.
fn process(image: &[u8]) -> Result<Vec<u8>, Error> {
    let side = match config("side") {
        Some(text) => text
            .parse()
            .map_err(|_| format!("the setting `side` is `{text}`, which is no number of pixels"))?,
        None => 128,
    };
    let reader = ImageReader::new(Cursor::new(image)).with_guessed_format();
    let mut reader = reader.map_err(Error::from_display)?;
    let mut limits = Limits::default();
    limits.max_image_width = Some(8_000);
    limits.max_image_height = Some(8_000);
    reader.limits(limits);
    let image = reader.decode().map_err(Error::from_display)?;
    log(&format!("{} x {} pixels", image.width(), image.height()));
    let thumbnail = image.resize(side, side, FilterType::Triangle);
    let mut png = Cursor::new(Vec::new());
    thumbnail
        .write_to(&mut png, image::ImageFormat::Png)
        .map_err(Error::from_display)?;
    Ok(png.into_inner())
}
