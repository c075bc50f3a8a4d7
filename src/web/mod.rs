//! The browser frontend: what the worker calls. Converts and forwards; the work is in the library.
//!
//! The contract with www/worker.js lies in www/types: the functions in session.d.ts, what they take and give in
//! wasm.d.ts. Errors arrive there as JavaScript `Error`s whose `name` is the variant and whose `message` is the
//! sentence; a panic calls `globalThis.gran_ted_panic` and traps.

mod session;
mod source;

pub use session::Session;

use crate::error::Error;
use crate::ted::{Comparison, Report};
use serde::Serialize;
use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    /// Defined by the worker, which reports the panic and closes: nothing after a panic can be trusted.
    #[wasm_bindgen(js_namespace = globalThis, catch)]
    fn gran_ted_panic(message: &str) -> Result<(), JsValue>;
}

unsafe extern "C" {
    /// The linker's: runs what crates register before main (cubecl's dialects, by `inventory`). In a module that never
    /// calls it, the linker calls it in every export, and so with every object and promise that comes from JavaScript.
    fn __wasm_call_ctors();
}

/// Runs when the module is instantiated.
#[wasm_bindgen(start)]
pub fn start() {
    // SAFETY: the first code of the module that runs, and the only call.
    unsafe { __wasm_call_ctors() };
    std::panic::set_hook(Box::new(|info| {
        let _ = gran_ted_panic(&info.to_string());
    }));
}

/// Bytes of the wasm heap; it never shrinks, so this is its peak.
#[wasm_bindgen]
pub fn memory_bytes() -> f64 {
    let memory: js_sys::WebAssembly::Memory = wasm_bindgen::memory().unchecked_into();
    memory.buffer().unchecked_into::<js_sys::ArrayBuffer>().byte_length().into()
}

/// Reads a report of ours or of the reference; its summary is computed anew.
#[wasm_bindgen]
pub fn import_report(name: String, bytes: Vec<u8>) -> Result<JsValue, JsValue> {
    to_js(&Report::import(&name, &bytes)?)
}

/// Two reports, item by item.
#[wasm_bindgen]
pub fn compare_reports(first: JsValue, second: JsValue) -> Result<JsValue, JsValue> {
    let (first, second): (Report, Report) = (from_js("report", first)?, from_js("report", second)?);
    to_js(&Comparison::new(&first, &second)?)
}

/// A report as `csv` (accuracies) or `jsonl` (items).
#[wasm_bindgen]
pub fn export_report(report: JsValue, format: &str) -> Result<String, JsValue> {
    let report: Report = from_js("report", report)?;
    match format {
        "csv" => Ok(report.to_csv()),
        "jsonl" => Ok(report.to_jsonl()),
        _ => Err(Error::UnknownOption {
            option: "report format",
            expected: "csv or jsonl".into(),
            found: format.into(),
        }
        .into()),
    }
}

impl From<Error> for JsValue {
    fn from(error: Error) -> Self {
        let js = js_sys::Error::new(&error.to_string());
        js.set_name(&error.code());
        js.into()
    }
}

/// A plain JavaScript object, as `JSON.parse` would make it.
fn to_js(value: &impl Serialize) -> Result<JsValue, JsValue> {
    Ok(value.serialize(&serde_wasm_bindgen::Serializer::json_compatible())?)
}

/// A value the page sent; `option` names it in the message.
fn from_js<T: serde::de::DeserializeOwned>(option: &'static str, value: JsValue) -> Result<T, Error> {
    serde_wasm_bindgen::from_value(value).map_err(|e| Error::UnknownOption {
        option,
        expected: "the shape of www/types/wasm.d.ts".into(),
        found: e.to_string(),
    })
}
