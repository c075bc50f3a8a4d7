//! Launching a raw WGSL source through Burn, and reading a CPU tensor's elements: shared by every kernel.

use burn::backend::flex::FlexTensor;
use burn::tensor::{DType, Shape, TensorData};
use burn_wgpu::{CubeDim, CubeTensor, KernelSource, SourceKernel, SourceTemplate, into_contiguous};
use cubecl::prelude::*;
use cubecl::server::KernelArguments;

/// A WGSL source whose `{{ name }}` places are filled with `values`.
///
/// All values are part of the kernel's id: two kernels that differ in one never share a pipeline.
pub struct Wgsl {
    name: &'static str,
    source: &'static str,
    values: Vec<(&'static str, String)>,
    workgroup: [u32; 2],
}

impl Wgsl {
    /// `source` with workgroups of `workgroup` invocations, registered as `workgroup_x` and `workgroup_y`.
    pub fn new(name: &'static str, source: &'static str, workgroup: [u32; 2]) -> Self {
        let values =
            vec![("workgroup_x", workgroup[0].to_string()), ("workgroup_y", workgroup[1].to_string())];
        Self { name, source, values, workgroup }
    }

    /// Fills the place `{{ name }}`.
    pub fn set(mut self, name: &'static str, value: impl ToString) -> Self {
        self.values.push((name, value.to_string()));
        self
    }

    /// Runs the kernel on `inputs` with `info` as the last input; gives a new f32 tensor of `shape`.
    ///
    /// Bindings are numbered in the order inputs, info, output.
    pub fn run(
        self,
        inputs: &[&CubeTensor],
        info: &[u32],
        shape: [usize; 2],
        groups: [usize; 3],
    ) -> CubeTensor {
        let first = inputs[0];
        let client = &first.client;
        let info = client.create_from_slice(bytemuck::cast_slice(info));
        let buffer = client.empty(shape[0] * shape[1] * size_of::<f32>());
        let output = CubeTensor::new_contiguous(
            client.clone(),
            first.device.clone(),
            Shape::from(shape.to_vec()),
            buffer,
            DType::F32,
        );
        let mut buffers: Vec<_> = inputs.iter().map(|input| input.handle.clone().binding()).collect();
        buffers.push(info.binding());
        buffers.push(output.handle.clone().binding());
        let dim = CubeDim::new_2d(self.workgroup[0], self.workgroup[1]);
        let [x, y, z] = groups.map(|count| count as u32);
        client.launch(
            Box::new(SourceKernel::new(self, dim)),
            CubeCount::Static(x, y, z),
            KernelArguments::new().with_buffers(buffers),
        );
        output
    }
}

impl KernelSource for Wgsl {
    fn source(&self) -> SourceTemplate {
        self.values.iter().fold(SourceTemplate::new(self.source), |source, (name, value)| {
            source.register(*name, value.as_str())
        })
    }

    fn id(&self) -> KernelId {
        KernelId::new::<Self>().info((self.name, self.values.clone()))
    }

    fn lang(&self) -> &'static str {
        "wgsl"
    }
}

/// Workgroups for `count` rows, folded into two dimensions: one alone ends at 65,535.
pub fn fold(count: usize) -> [usize; 2] {
    let x = count.clamp(1, 32_768);
    [x, count.div_ceil(x)]
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
