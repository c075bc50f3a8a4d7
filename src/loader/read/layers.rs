//! The layers of a streamed model, each brought to the device when a pass needs it.

use crate::device::Device;
use crate::error::Result;
use crate::format::Source;
use crate::kernel::Arithmetic;
use crate::loader::Header;
use crate::loader::planned::Planned;
use crate::model::{LayerSource, Weights, config::Role};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

/// The layers of a model, read from their file when they are needed.
pub(super) struct FileLayers {
    sources: Vec<Rc<dyn Source>>,
    /// The tensors of each layer, in file order.
    tensors: Vec<Vec<Planned>>,
    arithmetic: Arithmetic,
    device: Device,
}

impl FileLayers {
    pub(super) fn new(header: &Header, device: &Device) -> Self {
        let mut tensors = vec![Vec::new(); header.config.num_hidden_layers];
        for planned in &header.tensors {
            if let Some(layer) = planned.layer() {
                tensors[layer].push(planned.clone());
            }
        }
        let (sources, arithmetic) = (header.sources.clone(), header.info.arithmetic);
        Self { sources, tensors, arithmetic, device: device.transient() }
    }
}

impl LayerSource for FileLayers {
    fn load(&self, index: usize) -> Pin<Box<dyn Future<Output = Result<Weights>> + '_>> {
        Box::pin(async move {
            let mut weights = Weights::new(self.sources[0].name()).computed_in(self.arithmetic);
            for planned in &self.tensors[index] {
                let source = &self.sources[planned.source];
                if planned.role == Role::Vector {
                    let bytes = source.read(planned.info.range.clone()).await?;
                    let scales = planned.scales(&self.sources).await?;
                    let file = source.name();
                    planned.upload_vector(&bytes, scales.as_ref(), file, &mut weights, &self.device)?;
                    continue;
                }
                let (mut packer, mut start) =
                    (planned.packer(&self.sources).await?, planned.info.range.start);
                while start < planned.info.range.end {
                    let end = planned.info.range.end.min(start + planned.piece());
                    planned.pack(&mut packer, &source.read(start..end).await?);
                    start = end;
                }
                planned.upload_matrix(packer, source.name(), &mut weights, &self.device)?;
            }
            Ok(weights)
        })
    }
}
