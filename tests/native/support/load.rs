//! From a header to an encoder, without a progress to look at.

use gran_ted::device::Device;
use gran_ted::encoder::{Placement, TextEncoder};
use gran_ted::loader::{Header, Loading};
use pollster::block_on;

/// Loads the model of `header` as a whole.
pub fn load(header: Header, device: Device) -> TextEncoder {
    load_placed(header, Placement::new(false), device)
}

/// Loads the model of `header` as `placement` says.
pub fn load_placed(header: Header, placement: Placement, device: Device) -> TextEncoder {
    let mut loading = Loading::new(header, device).unwrap().placed(placement);
    while block_on(loading.step()).unwrap().is_some() {}
    loading.finish().unwrap()
}
