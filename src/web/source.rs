//! Files a page can give: one the user picked, read in place by slices, or a URL, read by HTTP ranges.

use crate::error::{Error, Result};
use crate::format::{Read, Source, check_range};
use js_sys::{ArrayBuffer, Promise, Reflect, Uint8Array};
use std::ops::Range;
use std::rc::Rc;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{File, Headers, RequestInit, Response};

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_name = fetch)]
    fn fetch(url: &str, options: &RequestInit) -> Promise;
}

/// A `File`, a `ByteSource` of www/types.d.ts, or `{ url }`.
pub async fn open(file: JsValue) -> Result<Rc<dyn Source>> {
    if let Some(file) = file.dyn_ref::<File>() {
        return Ok(Rc::new(PickedFile { name: file.name(), file: file.clone() }));
    }
    if Reflect::has(&file, &"read".into()).unwrap_or(false) {
        let source: ByteSource = file.unchecked_into();
        return Ok(Rc::new(HostFile { name: source.name(), size: source.size() as u64, source }));
    }
    match Reflect::get(&file, &"url".into()).ok().and_then(|url| url.as_string()) {
        Some(url) => Ok(Rc::new(HttpFile::open(url).await?)),
        None => Err(Error::UnknownOption {
            option: "file",
            expected: "a File or { url }".into(),
            found: format!("{file:?}"),
        }),
    }
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

    #[wasm_bindgen(method, catch)]
    async fn read(this: &ByteSource, start: f64, end: f64) -> Result<JsValue, JsValue>;
}

struct HostFile {
    name: String,
    size: u64,
    source: ByteSource,
}

impl Source for HostFile {
    fn name(&self) -> &str {
        &self.name
    }

    fn size(&self) -> u64 {
        self.size
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

struct HttpFile {
    url: String,
    size: u64,
}

impl HttpFile {
    /// Asks for the first bytes, which tells the size and whether the server gives ranges at all.
    async fn open(url: String) -> Result<Self> {
        // Not a single byte: some servers take `bytes=0-0` for the whole file.
        let response = request(&url, &(0..8)).await?;
        let size = match content_range_total(&response) {
            Some(size) => size,
            None => {
                return Err(Error::Read {
                    file: url,
                    reason: "the server does not tell the file's size".into(),
                });
            }
        };
        Ok(Self { url, size })
    }
}

impl Source for HttpFile {
    fn name(&self) -> &str {
        &self.url
    }

    fn size(&self) -> u64 {
        self.size
    }

    fn read(&self, range: Range<u64>) -> Read<'_> {
        Box::pin(async move {
            check_range(self, &range)?;
            if range.is_empty() {
                return Ok(Vec::new());
            }
            let response = request(&self.url, &range).await?;
            let failed = |e: JsValue| Error::Read { file: self.url.clone(), reason: words(&e) };
            let buffer = JsFuture::from(response.array_buffer().map_err(failed)?).await.map_err(failed)?;
            let bytes = Uint8Array::new(buffer.unchecked_ref::<ArrayBuffer>()).to_vec();
            match bytes.len() as u64 == range.end - range.start {
                true => Ok(bytes),
                false => Err(Error::Truncated {
                    file: self.url.clone(),
                    item: format!("the server's answer from byte {}", range.start),
                    expected: range.end,
                    found: range.start + bytes.len() as u64,
                }),
            }
        })
    }
}

/// A range of a URL; anything but 206 is an error.
async fn request(url: &str, range: &Range<u64>) -> Result<Response> {
    let failed = |e: JsValue| Error::Read { file: url.into(), reason: words(&e) };
    let headers = Headers::new().map_err(failed)?;
    headers.set("Range", &format!("bytes={}-{}", range.start, range.end - 1)).map_err(failed)?;
    let options = RequestInit::new();
    options.set_headers(&headers);
    let response: Response = JsFuture::from(fetch(url, &options)).await.map_err(failed)?.unchecked_into();
    match response.status() {
        206 => Ok(response),
        200 => Err(Error::NoRange { file: url.into(), status: 200 }),
        status => Err(Error::Read {
            file: url.into(),
            reason: format!("the server answered {status} {}", response.status_text()).trim_end().into(),
        }),
    }
}

/// The total of `Content-Range: bytes 0-7/98362432`.
fn content_range_total(response: &Response) -> Option<u64> {
    let value = response.headers().get("Content-Range").ok()??;
    value.rsplit('/').next()?.parse().ok()
}

/// What a JavaScript error says.
fn words(error: &JsValue) -> String {
    match error.dyn_ref::<js_sys::Error>() {
        Some(error) => error.message().into(),
        None => format!("{error:?}"),
    }
}
