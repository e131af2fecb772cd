//! OpenAI's `size` and `quality` as Google's ratios and sizes (docs/media.md "Requests for images").

use crate::error::ApiError;
use crate::gemini::models::Model;
use serde_json::{Map, Value};

const RATIOS: [(u32, u32); 10] = [(1, 1), (2, 3), (3, 2), (3, 4), (4, 3), (4, 5), (5, 4), (9, 16), (16, 9), (21, 9)];
/// Of 3.1 Flash only.
const LONG_RATIOS: [(u32, u32); 4] = [(1, 4), (4, 1), (1, 8), (8, 1)];

/// The `imageConfig`; empty where the model decides.
pub(crate) fn picture(
    size: Option<&str>,
    quality: Option<&str>,
    model: &Model,
) -> Result<Map<String, Value>, ApiError> {
    let mut config = Map::new();
    let is_31_flash = model.is_of("gemini-3.1-flash-image");
    match size.filter(|size| *size != "auto") {
        Some(size) => {
            let (width, height) = pixels(size)?;
            let more: &[_] = if is_31_flash { &LONG_RATIOS } else { &[] };
            let (across, down) = nearest(width, height, RATIOS.iter().chain(more));
            config.insert("aspectRatio".into(), format!("{across}:{down}").into());
            if model.gemini3 {
                let step = match width.max(height) {
                    long if long <= 512 && is_31_flash => "512",
                    0..=1536 => "1K",
                    1537..=2816 => "2K",
                    _ => "4K",
                };
                config.insert("imageSize".into(), step.into());
            }
        }
        None if model.gemini3 && matches!(quality, Some("hd" | "high" | "xhigh" | "max")) => {
            config.insert("imageSize".into(), "2K".into());
        }
        None => {}
    }
    Ok(config)
}

fn pixels(size: &str) -> Result<(u32, u32), ApiError> {
    let number = |text: &str| text.parse::<u32>().ok().filter(|number| (1..=65_536).contains(number));
    let read = size.split_once(['x', 'X', '×']).and_then(|(width, height)| Some((number(width)?, number(height)?)));
    read.ok_or_else(|| {
        let message = "'size' must be 'auto' or width and height in pixels, such as '1024x1536'.";
        ApiError::invalid("size", "invalid_value", message)
    })
}

/// The ratio that differs least, as a factor.
fn nearest<'a>(width: u32, height: u32, ratios: impl Iterator<Item = &'a (u32, u32)>) -> (u32, u32) {
    let log = |(across, down): (u32, u32)| (f64::from(across) / f64::from(down)).ln();
    let wanted = log((width, height));
    let by_distance =
        |a: &&(u32, u32), b: &&(u32, u32)| (log(**a) - wanted).abs().total_cmp(&(log(**b) - wanted).abs());
    ratios.min_by(by_distance).copied().unwrap_or((1, 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gemini::models::ModelTable;
    use serde_json::json;

    #[test]
    fn sizes_become_the_nearest_ratio_and_the_step_above() {
        for (model, size, quality, expected) in [
            ("gemini-3-pro-image", Some("1024x1024"), None, json!({"aspectRatio": "1:1", "imageSize": "1K"})),
            ("gemini-3-pro-image", Some("1536x1024"), None, json!({"aspectRatio": "3:2", "imageSize": "1K"})),
            ("gemini-3-pro-image", Some("1024x1792"), None, json!({"aspectRatio": "9:16", "imageSize": "2K"})),
            ("gemini-3-pro-image", Some("3840x2160"), None, json!({"aspectRatio": "16:9", "imageSize": "4K"})),
            ("gemini-3-pro-image", Some("256x256"), None, json!({"aspectRatio": "1:1", "imageSize": "1K"})),
            ("gemini-3-pro-image", Some("512x4096"), None, json!({"aspectRatio": "9:16", "imageSize": "4K"})),
            ("gemini-3.1-flash-image", Some("512x512"), None, json!({"aspectRatio": "1:1", "imageSize": "512"})),
            ("gemini-3.1-flash-image", Some("512x4096"), None, json!({"aspectRatio": "1:8", "imageSize": "4K"})),
            ("gemini-2.5-flash-image", Some("1536x1024"), Some("hd"), json!({"aspectRatio": "3:2"})),
            ("gemini-2.5-flash-image", None, Some("hd"), json!({})),
            ("gemini-3-pro-image", Some("auto"), Some("high"), json!({"imageSize": "2K"})),
            ("gemini-3-pro-image", None, Some("low"), json!({})),
        ] {
            let model = ModelTable::new(&[]).resolve(model).unwrap().model;
            assert_eq!(Value::Object(picture(size, quality, &model).unwrap()), expected, "{} {size:?}", model.name);
        }
        let model = ModelTable::new(&[]).resolve("gemini-3-pro-image").unwrap().model;
        for size in ["", "big", "1024", "0x1024", "1024x", "-1x1", "1024x1024x1", "99999999x1"] {
            assert!(picture(Some(size), None, &model).is_err(), "{size}");
        }
    }
}
