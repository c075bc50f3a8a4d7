//! Launches a raw WGSL source through Burn. Called by every operation's `launch`.

pub(super) mod elements;
pub(super) mod info;
pub(super) mod rows;
pub(super) mod text;

use burn::tensor::{DType, Shape};
use burn_wgpu::{CubeDim, CubeTensor, KernelSource, SourceKernel, SourceTemplate, into_contiguous};
use cubecl::prelude::*;
use cubecl::server::KernelArguments;
use info::Info;
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

/// How a kernel declares its inputs. A browser's tensors have buffers of their own, and a GPU may read a buffer faster
/// if nothing writes it. Natively, tensors share buffers, which must not be bound both for reading and for writing.
const READ: &str = if cfg!(target_family = "wasm") { "read" } else { "read_write" };

/// A WGSL source whose `{{ name }}` places are filled with `values`.
///
/// The name, the fields of `info` and all values that are `set` are the kernel's id: two kernels that differ in one of
/// them never share a pipeline.
pub(super) struct Wgsl {
    /// The kernel's name. It stands for `sources`, which are not in the id: different sources need different names.
    name: &'static str,
    /// The parts of the source, one after the other; some are shared by several kernels.
    sources: Vec<&'static str>,
    info: Info,
    /// Number of bindings before the output's.
    inputs: usize,
    values: Values,
    /// Makes more values, from those that are set.
    unroll: Option<Box<dyn Fn() -> Values + Send + Sync>>,
    workgroup: [u32; 2],
}

/// The names of places, and the text that fills each.
pub(super) type Values = Vec<(&'static str, String)>;

impl Wgsl {
    /// A kernel with workgroups of `workgroup` invocations, along x and y. Besides the places that are `set`, it may
    /// have
    ///
    /// ```text
    /// workgroup_x, workgroup_y   the workgroup's sizes
    /// read                       the access of inputs
    /// output                     the number of the output's binding
    /// info                       `struct Info`, and its binding as `info`
    /// ```
    pub(super) fn new(name: &'static str, sources: &[&'static str], workgroup: [u32; 2], info: Info) -> Self {
        Self { name, sources: sources.to_vec(), info, inputs: 0, values: Vec::new(), unroll: None, workgroup }
    }

    /// Fills the place `{{ name }}`.
    pub(super) fn set(mut self, name: &'static str, value: impl ToString) -> Self {
        self.values.push((name, value.to_string()));
        self
    }

    /// Fills more places when the pipeline is compiled. `unroll` may use only values that are already `set`: its output
    /// is not in the id.
    pub(super) fn unroll(mut self, unroll: impl Fn() -> Values + Send + Sync + 'static) -> Self {
        self.unroll = Some(Box::new(unroll));
        self
    }

    /// Runs the kernel on `inputs`, in `groups` workgroups; gives a new f32 tensor of `shape`.
    ///
    /// Bindings are numbered in the order inputs, output, info. The info travels with the launch and is kept by its
    /// content: a buffer written for it would end the pass, and each kernel would be a submission of its own.
    pub(super) fn run(mut self, inputs: &[&CubeTensor], shape: [usize; 2], groups: [usize; 3]) -> CubeTensor {
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
        let arguments = KernelArguments::new().with_buffers(buffers).with_info(self.info.words());
        let dim = CubeDim::new_2d(self.workgroup[0], self.workgroup[1]);
        let [x, y, z] = groups.map(|count| count as u32);
        self.inputs = inputs.len();
        client.launch(Box::new(SourceKernel::new(self, dim)), CubeCount::Static(x, y, z), arguments);
        LAUNCHES.set(LAUNCHES.get() + 1);
        output
    }
}

impl KernelSource for Wgsl {
    fn source(&self) -> SourceTemplate {
        let own = [
            ("workgroup_x", self.workgroup[0].to_string()),
            ("workgroup_y", self.workgroup[1].to_string()),
            ("read", READ.to_string()),
            ("output", self.inputs.to_string()),
            ("info", self.info.text(self.inputs + 1)),
        ];
        let unrolled = self.unroll.as_ref().map_or_else(Vec::new, |unroll| unroll());
        let source = SourceTemplate::new(self.sources.concat());
        let places = own.iter().chain(&self.values).chain(&unrolled);
        places.fold(source, |source, (name, value)| source.register(*name, value.as_str()))
    }

    fn id(&self) -> KernelId {
        let info = self.info.shape();
        KernelId::new::<Self>().info((self.name, self.workgroup, self.inputs, info, self.values.clone()))
    }

    fn lang(&self) -> &'static str {
        "wgsl"
    }
}

/// The declaration of an input that not every variant of a kernel has, such as `table: array<f32>`.
pub(super) fn declare(binding: usize, name_and_type: &str) -> String {
    format!("@group(0) @binding({binding}) var<storage, {READ}> {name_and_type};")
}

/// `count` workgroups folded into two dimensions: one dimension has at most 65,535.
pub(super) fn fold(count: usize) -> [usize; 2] {
    let x = count.clamp(1, 32_768);
    [x, count.div_ceil(x)]
}

/// `[0.0]` on the device of `like`, made once. It fills a binding that a kernel declares and a launch does not use.
pub(super) fn zero(like: &CubeTensor) -> CubeTensor {
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

/// The tensor with its elements in row-major order: itself, or a copy.
pub(super) fn dense(x: CubeTensor) -> CubeTensor {
    into_contiguous(x)
}
