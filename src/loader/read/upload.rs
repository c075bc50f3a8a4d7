//! The stored bytes of one tensor, on their way to the device.

use crate::device::Device;
use crate::error::{Error, Result};
use crate::format::Source;
use crate::loader::planned::Planned;
use crate::model::Weights;
use crate::quant::{self, Packer, Scales};
use burn::tensor::{Tensor, TensorData};
use std::rc::Rc;

impl Planned {
    /// Reads the scales of its codes; `None` where its type has them, or it has none.
    pub(super) async fn scales(&self, sources: &[Rc<dyn Source>]) -> Result<Option<Scales>> {
        let shape = match self.info.shape[..] {
            [rows, columns] => [rows, columns],
            _ => [1, self.info.shape.iter().product()],
        };
        match &self.scaling {
            Some(scaling) => scaling.read(sources, shape).await.map(Some),
            None => Ok(None),
        }
    }

    pub(super) async fn packer(&self, sources: &[Rc<dyn Source>]) -> Result<Packer> {
        let packer = Packer::new(self.layout, self.info.dtype, self.info.shape[0], self.in_features());
        Ok(match self.scales(sources).await? {
            Some(scales) => packer.scaled(scales),
            None => packer,
        })
    }

    /// Packs the next rows of a matrix.
    pub(super) fn pack(&self, packer: &mut Packer, bytes: &[u8]) {
        match self.head_rows() {
            Some(rows) => bytes
                .chunks_exact((rows * self.row_bytes()) as usize)
                .for_each(|head| self.push(packer, &unpermute(head, rows as usize))),
            None => self.push(packer, bytes),
        }
    }

    /// Pushes whole rows, filled up to [`Planned::in_features`]. Types in blocks are full by themselves; in the others
    /// zero is bytes of zero.
    fn push(&self, packer: &mut Packer, rows: &[u8]) {
        let stored = self.row_bytes() as usize;
        let width = self.info.shape[1];
        if self.in_features() == width {
            return packer.push(rows);
        }
        let full = self.in_features() * stored / width;
        let mut filled = Vec::with_capacity(rows.len() / stored * full);
        for row in rows.chunks_exact(stored) {
            filled.extend_from_slice(row);
            filled.resize(filled.len() + full - stored, 0);
        }
        packer.push(&filled);
    }

    pub(super) fn upload_matrix(
        &self,
        packer: Packer,
        file: &str,
        weights: &mut Weights,
        device: &Device,
    ) -> Result<()> {
        let packed = packer.finish();
        if !packed.is_finite() {
            return Err(self.not_finite(file));
        }
        if packed.is_zero() {
            return Err(self.only_zeros(file));
        }
        weights.insert_packed(self.name.clone(), packed, &self.joined, device);
        Ok(())
    }

    pub(super) fn upload_vector(
        &self,
        bytes: &[u8],
        scales: Option<&Scales>,
        file: &str,
        weights: &mut Weights,
        device: &Device,
    ) -> Result<()> {
        let mut values = quant::dequantize(self.info.dtype, bytes);
        scales.into_iter().for_each(|scales| scales.apply(0, &mut values));
        if let Some(rows) = self.head_rows() {
            values =
                values.chunks_exact(rows as usize).flat_map(|head| unpermute(head, rows as usize)).collect();
        }
        if values.iter().any(|value| !value.is_finite()) {
            return Err(self.not_finite(file));
        }
        // A bias may be zero, a norm may not.
        if self.name.ends_with(".weight") && values.iter().all(|value| *value == 0.0) {
            return Err(self.only_zeros(file));
        }
        let shape = [values.len()];
        let tensor =
            device.keep(TensorData::new(values, shape), |data, device| Tensor::<1>::from_data(data, device));
        weights.insert_vector(self.name.clone(), tensor);
        Ok(())
    }

    /// The fault of a file whose rest has not arrived: no training makes all of a weight's values zero.
    pub(super) fn only_zeros(&self, file: &str) -> Error {
        Error::OnlyZeros { file: file.into(), tensor: self.info.name.clone() }
    }

    fn not_finite(&self, file: &str) -> Error {
        Error::NotFinite { file: file.into(), tensor: self.info.name.clone() }
    }
}

/// Undoes the row order of one head of `llama` files, whose RoPE rotates neighbours: rows `(i, j)` become `(j, i)`,
/// `i < head_dim / 2`, `j < 2`, so that the halves can be rotated. `head` is `rows` equal pieces.
fn unpermute<T: Copy>(head: &[T], rows: usize) -> Vec<T> {
    let width = head.len() / rows;
    let mut ordered = Vec::with_capacity(head.len());
    for row in (0..rows).step_by(2).chain((1..rows).step_by(2)) {
        ordered.extend_from_slice(&head[row * width..][..width]);
    }
    ordered
}
