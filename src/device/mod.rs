//! Where the encoder runs: a GPU through wgpu (WebGPU in a browser), or the CPU.

pub mod class;

use crate::error::{Error, Result};
use crate::named::named;
use burn::tensor::{Tensor, TensorData};
use cubecl::profile::TimingMethod;
use serde::Serialize;

named! {
    /// The kind of device a person asks for.
    pub enum DeviceKind("device", expected "cpu or gpu") {
        /// Burn's flex backend with our own kernels.
        Cpu = "cpu",
        /// The adapter that wgpu prefers.
        Gpu = "gpu" | "webgpu",
    }
}

/// Device memory as the runtime counts it, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct DeviceMemory {
    /// Bytes of live tensors.
    pub in_use: u64,
    /// Bytes taken from the device, including pages that are kept for the next tensors.
    pub reserved: u64,
}

/// An opened device.
#[derive(Clone, Debug)]
pub struct Device {
    burn: burn::tensor::Device,
    /// The kind that was asked for.
    pub kind: DeviceKind,
    /// The adapter's name and driver, as it gives them.
    pub adapter: String,
    /// Whether the adapter is a CPU in disguise.
    pub software: bool,
    /// Whether kernels can compute in half precision.
    pub has_f16: bool,
    /// Whether the device has timestamps of its own.
    pub has_clock: bool,
    /// The largest buffer that one binding may hold, in bytes.
    pub max_buffer_bytes: Option<u64>,
    /// Allocates weights from the activation pools: streamed weights are dropped with their layer.
    transient: bool,
}

impl Device {
    /// The CPU.
    pub fn cpu() -> Self {
        Self {
            burn: burn::tensor::Device::flex(),
            kind: DeviceKind::Cpu,
            adapter: "CPU".into(),
            software: false,
            has_f16: false,
            has_clock: false,
            max_buffer_bytes: None,
            transient: false,
        }
    }

    /// The GPU that wgpu prefers, with the adapter's own limits. Call it once in a process or worker; a second call fails.
    ///
    /// # Errors
    /// [`Error::NoGpu`] where there is none, or none that can be used.
    pub async fn gpu() -> Result<Self> {
        let (burn, setup) = burn::tensor::Device::wgpu_options()
            .init_with_setup_async()
            .await
            .map_err(|e| Error::NoGpu { reason: e.to_string() })?;
        let (info, limits) = (setup.adapter.get_info(), setup.device.limits());
        // In a browser Burn's runtime panics on an adapter that it can't time. www/worker/untimed.js tells it that it
        // can; the device itself tells what is true.
        if cfg!(target_family = "wasm") && !setup.adapter.features().contains(wgpu::Features::TIMESTAMP_QUERY)
        {
            let reason = format!("{} has no `timestamp-query`, which the runtime needs", describe(&info));
            return Err(Error::NoGpu { reason });
        }
        class::set_software(is_software(&info));
        Ok(Self {
            burn,
            kind: DeviceKind::Gpu,
            adapter: describe(&info),
            software: is_software(&info),
            // The runtime asks for every feature that the adapter has.
            has_f16: setup.device.features().contains(wgpu::Features::SHADER_F16),
            has_clock: setup.device.features().contains(wgpu::Features::TIMESTAMP_QUERY),
            max_buffer_bytes: Some(limits.max_storage_buffer_binding_size.min(limits.max_buffer_size)),
            transient: false,
        })
    }

    /// The device of `kind`.
    ///
    /// # Errors
    /// [`Error::NoGpu`] where a GPU is asked for and there is none.
    pub async fn open(kind: DeviceKind) -> Result<Self> {
        match kind {
            DeviceKind::Cpu => Ok(Self::cpu()),
            DeviceKind::Gpu => Self::gpu().await,
        }
    }

    /// Gives a GPU the name that the page knows its adapter by: wgpu sees no name in most browsers.
    #[must_use]
    pub fn named(self, adapter: Option<String>) -> Self {
        let named = adapter.filter(|name| self.kind == DeviceKind::Gpu && !name.is_empty());
        Self { adapter: named.unwrap_or(self.adapter), ..self }
    }

    /// Whether products have several tiles on this device, of which the fastest has to be measured.
    pub(crate) fn is_tuned(&self) -> bool {
        self.kind == DeviceKind::Gpu && !class::is_software()
    }

    /// Device memory that this process holds; `None` on the CPU, which does not count it.
    pub fn memory(&self) -> Option<DeviceMemory> {
        let usage = self.burn.memory_pool_usage()?;
        Some(DeviceMemory { in_use: usage.bytes_in_use, reserved: usage.bytes_reserved })
    }

    /// Burn's handle.
    pub fn burn(&self) -> &burn::tensor::Device {
        &self.burn
    }

    /// This device, for weights that are dropped after their layer.
    pub(crate) fn transient(&self) -> Self {
        Self { transient: true, ..self.clone() }
    }

    /// Makes a tensor that lives as long as the model, outside the pools that activations are taken from.
    pub(crate) fn keep<T: Send>(
        &self,
        data: TensorData,
        make: impl Fn(TensorData, &burn::tensor::Device) -> T + Send,
    ) -> T {
        let device = self.burn.clone();
        if self.transient {
            return make(data, &device);
        }
        self.burn.memory_persistent_allocations(data, move |data| make(data, &device))
    }

    /// Waits until the device has done what it was given, by bringing one number back.
    ///
    /// # Errors
    /// [`Error::Device`] with the device's own words.
    pub async fn wait(&self) -> Result<()> {
        read_back(Tensor::zeros([1, 1], &self.burn)).await.map(drop)
    }

    /// Runs `work` on the device and waits for it. Gives its seconds by the device's own clock; `None` where the device has
    /// no clock, or the runtime did not read it.
    ///
    /// # Errors
    /// [`Error::Device`] with the device's own words.
    pub(crate) async fn seconds(&self, work: impl FnOnce() + Send) -> Result<Option<f64>> {
        if !self.has_clock {
            work();
            self.wait().await?;
            return Ok(None);
        }
        let ((), duration) = self.burn.profile(work).map_err(|e| failed(&format!("{e:?}")))?;
        self.wait().await?; // reports a lost device, where the duration would panic
        if duration.timing_method() == TimingMethod::System {
            return Ok(None);
        }
        Ok(duration.resolve().await.map(|ticks| ticks.duration().as_secs_f64()))
    }
}

/// A tensor's elements, once the device has computed them; the only kind of read that a browser allows.
///
/// # Errors
/// [`Error::Device`] with the device's own words.
pub(crate) async fn read_back(tensor: Tensor<2>) -> Result<Vec<f32>> {
    let data = tensor.into_data_async().await.map_err(|e| failed(&format!("{e:?}")))?;
    data.try_into_vec().map_err(|e| failed(&format!("{e:?}")))
}

/// The error in the words of the runtime: a chain of causes, whose first one stands last, and a backtrace. A lost device is
/// called poisoned, or its result cannot be mapped.
fn failed(words: &str) -> Error {
    let causes = words.split("\nBacktrace").next().unwrap_or_default();
    let first =
        causes.rsplit("Caused by:").next().unwrap_or_default().trim().trim_end_matches('.').to_string();
    match words.contains("poisoned") || words.contains("could not be mapped") {
        true => Error::DeviceLost { reason: first },
        false => Error::Device { reason: first },
    }
}

fn describe(info: &wgpu::AdapterInfo) -> String {
    let parts = [&info.name, &info.driver, &info.driver_info];
    let named: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).map(String::as_str).collect();
    if named.is_empty() { format!("{} adapter", info.backend) } else { named.join(", ") }
}

fn is_software(info: &wgpu::AdapterInfo) -> bool {
    let name = describe(info).to_lowercase();
    info.device_type == wgpu::DeviceType::Cpu
        || ["swiftshader", "llvmpipe"].iter().any(|soft| name.contains(soft))
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_lost_device_is_told_from_a_failed_one_by_its_first_cause() {
        let lost = "The device is poisoned\nCaused by:\n  The device is poisoned\nCaused by:\n  \
                    Destroyed: Device was destroyed.\nBacktrace:\nNo backtrace available";
        assert_eq!(
            super::failed(lost).to_string(),
            "the graphics device was lost (Destroyed: Device was destroyed)"
        );
        assert_eq!(
            super::failed("no room\nBacktrace:\n1").to_string(),
            "the device failed while computing: no room"
        );
    }
}
