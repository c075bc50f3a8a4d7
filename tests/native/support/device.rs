//! The GPU of a test program, opened once: a process has one wgpu device.

use gran_ted::device::Device;
use std::sync::OnceLock;

/// Opens the adapter that wgpu prefers; on a machine without a GPU, Mesa's llvmpipe (Debian: mesa-vulkan-drivers).
pub fn gpu() -> Device {
    static DEVICE: OnceLock<Device> = OnceLock::new();
    DEVICE
        .get_or_init(|| pollster::block_on(Device::gpu()).expect("a Vulkan driver, e.g. mesa-vulkan-drivers"))
        .clone()
}
