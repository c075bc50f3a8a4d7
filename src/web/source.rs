//! Files a page can give: one the user picked, read in place by slices, or one the worker reads, from storage or the web.

use crate::error::{Error, Result};
use crate::format::{Read, Source, check_range};
use js_sys::{Reflect, Uint8Array};
use std::ops::Range;
use std::rc::Rc;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::File;

/// A `File`, or a `ByteSource` of www/types/storage.d.ts.
pub(super) fn open(file: JsValue) -> Result<Rc<dyn Source>> {
    if let Some(file) = file.dyn_ref::<File>() {
        return Ok(Rc::new(PickedFile { name: file.name(), file: file.clone() }));
    }
    if Reflect::has(&file, &"read".into()).unwrap_or(false) {
        let source: ByteSource = file.unchecked_into();
        return Ok(Rc::new(HostFile {
            name: source.name(),
            size: source.size() as u64,
            sha256: source.sha256(),
            source,
        }));
    }
    Err(Error::UnknownOption {
        option: "file",
        expected: "a File or a ByteSource".into(),
        found: format!("{file:?}"),
    })
}

struct PickedFile {
    name: String,
    file: File,
}

impl Source for PickedFile {
    fn name(&self) -> &str {
        &self.name
    }

    fn size(&self) -> u64 {
        self.file.size() as u64
    }

    fn read(&self, range: Range<u64>) -> Read<'_> {
        Box::pin(async move {
            check_range(self, &range)?;
            let failed = |e: JsValue| Error::Read { file: self.name.clone(), reason: words(&e) };
            let slice =
                self.file.slice_with_f64_and_f64(range.start as f64, range.end as f64).map_err(failed)?;
            let buffer = JsFuture::from(slice.array_buffer()).await.map_err(failed)?;
            Ok(Uint8Array::new(&buffer).to_vec())
        })
    }
}

#[wasm_bindgen]
extern "C" {
    /// A file that the worker reads: from the browser's storage, or from the web.
    type ByteSource;

    #[wasm_bindgen(method, getter)]
    fn name(this: &ByteSource) -> String;

    #[wasm_bindgen(method, getter)]
    fn size(this: &ByteSource) -> f64;

    #[wasm_bindgen(method, getter)]
    fn sha256(this: &ByteSource) -> Option<String>;

    #[wasm_bindgen(method, catch)]
    async fn read(this: &ByteSource, start: f64, end: f64) -> Result<JsValue, JsValue>;
}

struct HostFile {
    name: String,
    size: u64,
    sha256: Option<String>,
    source: ByteSource,
}

impl Source for HostFile {
    fn name(&self) -> &str {
        &self.name
    }

    fn size(&self) -> u64 {
        self.size
    }

    fn sha256(&self) -> Option<&str> {
        self.sha256.as_deref()
    }

    fn read(&self, range: Range<u64>) -> Read<'_> {
        Box::pin(async move {
            check_range(self, &range)?;
            let read = self.source.read(range.start as f64, range.end as f64).await;
            let bytes = read.map_err(host_error)?.unchecked_into::<Uint8Array>().to_vec();
            match bytes.len() as u64 == range.end - range.start {
                true => Ok(bytes),
                false => Err(Error::Truncated {
                    file: self.name.clone(),
                    item: format!("what was read from byte {}", range.start),
                    expected: range.end,
                    found: range.start + bytes.len() as u64,
                }),
            }
        })
    }
}

/// The worker's own error, as it is.
fn host_error(error: JsValue) -> Error {
    let code = match error.dyn_ref::<js_sys::Error>() {
        Some(error) => error.name().into(),
        None => "Read".into(),
    };
    Error::Host { code, message: words(&error) }
}

/// The message of a JavaScript error.
fn words(error: &JsValue) -> String {
    match error.dyn_ref::<js_sys::Error>() {
        Some(error) => error.message().into(),
        None => format!("{error:?}"),
    }
}
