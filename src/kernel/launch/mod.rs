//! Launching a raw WGSL source through Burn, and reading a CPU tensor's elements: shared by every kernel.

pub mod rows;

pub(crate) use crate::device::class::{is_software, with};
use burn::backend::flex::FlexTensor;
use burn::tensor::{DType, Shape, TensorData};
use burn_wgpu::{CubeDim, CubeTensor, KernelSource, SourceKernel, SourceTemplate, into_contiguous};
use cubecl::prelude::*;
use cubecl::server::{KernelArguments, MetadataBindingInfo};
use std::cell::Cell;
use std::sync::OnceLock;

thread_local! {
    /// Kernels launched by this thread.
    static LAUNCHES: Cell<usize> = const { Cell::new(0) };
}

/// Kernels that this thread has launched so far.
pub fn launches() -> usize {
    LAUNCHES.get()
}

/// How a kernel declares what it only reads. A browser's tensors have buffers of their own, and a GPU may read faster
/// what nothing writes; natively tensors share buffers, which must not be bound both to be read and to be written.
const READ: &str = if cfg!(target_family = "wasm") { "read" } else { "read_write" };

/// A WGSL source whose `{{ name }}` places are filled with `values`.
///
/// All values that are `set` are part of the kernel's id: two kernels that differ in one never share a pipeline.
pub struct Wgsl {
    name: &'static str,
    source: &'static str,
    /// What follows the source.
    end: &'static str,
    values: Values,
    /// Makes the values that follow from the others.
    unroll: Option<Box<dyn Fn() -> Values + Send + Sync>>,
    workgroup: [u32; 2],
}

/// What is filled into which place.
pub type Values = Vec<(&'static str, String)>;

impl Wgsl {
    /// `source` with workgroups of `workgroup` invocations, registered as `workgroup_x` and `workgroup_y`; `read` is the
    /// access of its inputs.
    pub fn new(name: &'static str, source: &'static str, workgroup: [u32; 2]) -> Self {
        let values = vec![
            ("workgroup_x", workgroup[0].to_string()),
            ("workgroup_y", workgroup[1].to_string()),
            ("read", READ.to_string()),
        ];
        Self { name, source, end: "", values, unroll: None, workgroup }
    }

    /// Puts `end` behind the source: functions that another kernel has too. The name tells whether it is there.
    pub fn end(self, end: &'static str) -> Self {
        Self { end, ..self }
    }

    /// Fills the place `{{ name }}`.
    pub fn set(mut self, name: &'static str, value: impl ToString) -> Self {
        self.values.push((name, value.to_string()));
        self
    }

    /// Fills more places, once, when the pipeline is made: with what `unroll` makes of nothing but the values that are
    /// set, for it is no part of the id.
    pub fn unroll(mut self, unroll: impl Fn() -> Values + Send + Sync + 'static) -> Self {
        self.unroll = Some(Box::new(unroll));
        self
    }

    /// Runs the kernel on `inputs`; gives a new f32 tensor of `shape`.
    ///
    /// Bindings are numbered in the order inputs, output, info. The last travels with the launch and is kept by its
    /// content: a buffer written for it would end the pass, and each kernel would be a submission of its own.
    pub fn run(
        self,
        inputs: &[&CubeTensor],
        info: &[u32],
        shape: [usize; 2],
        groups: [usize; 3],
    ) -> CubeTensor {
        let first = inputs[0];
        let client = &first.client;
        let buffer = client.empty(shape[0] * shape[1] * size_of::<f32>());
        let output = CubeTensor::new_contiguous(
            client.clone(),
            first.device.clone(),
            Shape::from(shape.to_vec()),
            buffer,
            DType::F32,
        );
        let mut buffers: Vec<_> = inputs.iter().map(|input| input.handle.clone().binding()).collect();
        buffers.push(output.handle.clone().binding());
        let dim = CubeDim::new_2d(self.workgroup[0], self.workgroup[1]);
        let [x, y, z] = groups.map(|count| count as u32);
        client.launch(
            Box::new(SourceKernel::new(self, dim)),
            CubeCount::Static(x, y, z),
            KernelArguments::new().with_buffers(buffers).with_info(words(info)),
        );
        LAUNCHES.set(LAUNCHES.get() + 1);
        output
    }
}

impl KernelSource for Wgsl {
    fn source(&self) -> SourceTemplate {
        let unrolled = self.unroll.as_ref().map_or_else(Vec::new, |unroll| unroll());
        let source = SourceTemplate::new(self.source).add_template(self.end);
        let places = self.values.iter().chain(&unrolled);
        places.fold(source, |source, (name, value)| source.register(*name, value.as_str()))
    }

    fn id(&self) -> KernelId {
        KernelId::new::<Self>().info((self.name, self.values.clone()))
    }

    fn lang(&self) -> &'static str {
        "wgsl"
    }
}

/// Sizes as the runtime takes them, two to a word.
fn words(info: &[u32]) -> MetadataBindingInfo {
    let word = |pair: &[u32]| u64::from(pair[0]) | u64::from(pair.get(1).copied().unwrap_or(0)) << 32;
    MetadataBindingInfo::custom(info.chunks(2).map(word).collect())
}

/// The declaration of an input that not every variant of a kernel has.
pub fn declare(binding: usize, name_and_type: &str) -> String {
    format!("@group(0) @binding({binding}) var<storage, {READ}> {name_and_type};")
}

/// Workgroups for `count` rows, folded into two dimensions: one alone ends at 65,535.
pub fn fold(count: usize) -> [usize; 2] {
    let x = count.clamp(1, 32_768);
    [x, count.div_ceil(x)]
}

/// `[0.0]` on the device of `like`, made once: fills a binding that nothing is read from.
pub fn zero(like: &CubeTensor) -> CubeTensor {
    static ZERO: OnceLock<CubeTensor> = OnceLock::new();
    let make = || {
        let buffer = like.client.create_from_slice(bytemuck::bytes_of(&0f32));
        CubeTensor::new_contiguous(
            like.client.clone(),
            like.device.clone(),
            Shape::from(vec![1]),
            buffer,
            DType::F32,
        )
    };
    ZERO.get_or_init(make).clone()
}

/// The tensor with its elements in row-major order.
pub fn dense(x: CubeTensor) -> CubeTensor {
    into_contiguous(x)
}

/// A CPU tensor with its elements in row-major order.
pub fn host(x: FlexTensor) -> FlexTensor {
    x.to_contiguous()
}

/// A CPU tensor of `values`.
pub fn from_host(values: Vec<f32>, shape: [usize; 2]) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, shape))
}

/// `[rows, columns]` of a CPU tensor.
pub fn rows_columns(x: &FlexTensor) -> [usize; 2] {
    let shape = x.layout().shape();
    [shape[0], shape[1]]
}
