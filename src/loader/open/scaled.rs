//! The tensors that belong to a weight of codes, found and checked by its record, or by its type where it has none.

use super::found::Found;
use super::records::{Comfy, QuantState, Record};
use crate::error::{Error, Result};
use crate::format::{Source, TensorInfo, TensorType};
use crate::loader::scaling::{BLOCK, Nested, Order, Place, Scaling, swizzled_len};
use crate::model::config::{Expected, Role};
use std::rc::Rc;

/// The names of a scale of a float or of a byte. Despite its name the last is multiplied too.
pub(super) const SCALES: [&str; 3] = ["weight_scale", "scale_weight", "weight_scale_inv"];
/// Scales of a layer's input, which change no weight.
const OF_INPUTS: [&str; 4] = ["input_scale", "scale_input", "activation_scale", "input_scale_inv"];
/// The columns that are turned together where a record does not say it.
const TURNED: usize = 256;

/// A weight of codes: its layer's names, and what is expected of it.
struct Weight<'a> {
    /// The name without prefix.
    layer: &'a str,
    /// The name in the file.
    full: String,
    file: String,
    expected: &'a Expected,
}

impl Found {
    /// The scales of a weight, which are taken out of the tensors that were found. `info` is told its type and shape.
    ///
    /// # Errors
    /// [`Error::MissingScale`], [`Error::NoRecord`], [`Error::UnknownPacking`]; [`Error::Malformed`] for a scale that is of
    /// another shape.
    pub(super) fn scaling(
        &mut self,
        sources: &[Rc<dyn Source>],
        (name, source): (&str, usize),
        info: &mut TensorInfo,
        expected: &Expected,
    ) -> Result<Option<Rc<Scaling>>> {
        let file: String = sources[source].name().into();
        let unknown = |info: &TensorInfo| {
            let (tensor, found) = (info.name.clone(), format!("{:?}", info.dtype));
            Error::NoRecord { file: file.clone(), tensor, found }
        };
        let Some(layer) = name.strip_suffix(".weight") else {
            return if info.dtype.is_whole() { Ok(None) } else { Err(unknown(info)) };
        };
        let full = info.name.strip_suffix(".weight").unwrap_or(&info.name).into();
        let weight = Weight { layer, full, file: file.clone(), expected };
        let scaling = match (self.records.of(layer).cloned(), info.dtype) {
            (Some(Record::Comfy(comfy)), _) => Some(self.comfy(&weight, info, &comfy)?),
            (Some(Record::Bitsandbytes(state)), _) => Some(self.bitsandbytes(&weight, info, &state)?),
            (None, TensorType::F8_E4M3 | TensorType::F8_E5M2) => self.fp8(&weight, info.dtype)?,
            (None, TensorType::I8) => Some(self.by_rows(&weight)?.ok_or_else(|| unknown(info))?),
            (None, dtype) if dtype.is_whole() => None,
            (None, _) => return Err(unknown(info)),
        };
        if scaling.is_some() {
            OF_INPUTS.iter().for_each(|name| drop(self.beside(&weight, name)));
        }
        Ok(scaling.map(Rc::new))
    }

    /// Takes the tensor of a layer out.
    fn beside(&mut self, weight: &Weight, name: &str) -> Option<Place> {
        self.tensors.remove(&format!("{}.{name}", weight.layer))
    }

    /// A tensor of a layer that has to be there.
    fn needed(&mut self, weight: &Weight, found: &str, name: &'static str) -> Result<Place> {
        self.beside(weight, name).ok_or_else(|| weight.missing(found, name))
    }

    /// Floats of 8 bits without a record: with a scale, or plain where no layer of the file has one.
    fn fp8(&mut self, weight: &Weight, dtype: TensorType) -> Result<Option<Scaling>> {
        if let Some(scaling) = self.by_rows(weight)? {
            return Ok(Some(scaling));
        }
        let must = self.records.scaled_fp8 || self.some_scaled;
        if must && weight.expected.role == Role::Matrix {
            let name = if self.records.scaled_fp8 { "scale_weight" } else { "weight_scale" };
            return Err(weight.missing(&format!("{dtype:?}"), name));
        }
        Ok(None)
    }

    /// A scale for all values, for each row or for each block; `None` where there is none.
    fn by_rows(&mut self, weight: &Weight) -> Result<Option<Scaling>> {
        let Some((name, scale)) = SCALES.iter().find_map(|name| Some((*name, self.beside(weight, name)?)))
        else {
            return Ok(None);
        };
        let shape = &weight.expected.shape;
        let rows = shape[0];
        let blocks: Vec<usize> = shape.iter().map(|len| len.div_ceil(BLOCK)).collect();
        let order = match &scale.1.shape[..] {
            [] | [1] | [1, 1] => Order::One,
            found if name == "weight_scale_inv" && found == blocks && shape.len() == 2 => Order::Blocks,
            [found] | [found, 1] if name != "weight_scale_inv" && *found == rows && shape.len() == 2 => {
                Order::Rows
            }
            _ => {
                let expected = match name {
                    "weight_scale_inv" => format!("one value, or {blocks:?}: one for each block of {BLOCK}"),
                    _ => format!("one value, or one for each of {rows} rows"),
                };
                return Err(weight.malformed(&scale.1, expected));
            }
        };
        weight.check_numbers(&scale)?;
        Ok(Some(Scaling { scale, order, second: None, input: None, turned: None }))
    }

    /// A weight with ComfyUI's record.
    fn comfy(&mut self, weight: &Weight, info: &mut TensorInfo, comfy: &Comfy) -> Result<Scaling> {
        let format = &comfy.format[..];
        let stored = match format {
            "float8_e4m3fn" | "mxfp8" => TensorType::F8_E4M3,
            "float8_e5m2" => TensorType::F8_E5M2,
            "int8_tensorwise" => TensorType::I8,
            "nvfp4" => TensorType::U8,
            _ => return Err(weight.unknown(format)),
        };
        if info.dtype != stored {
            let (item, found) = (format!("tensor `{}`", info.name), format!("{:?}", info.dtype));
            return Err(Error::malformed(&weight.file, item, format!("{stored:?}, as {format} has"), found));
        }
        match format {
            "mxfp8" => {
                let mut scaling = self.swizzled(weight, info, format, 32)?;
                let kind = scaling.scale.1.dtype;
                if kind == TensorType::U8 {
                    scaling.scale.1.dtype = TensorType::F8_E8M0;
                } else if kind != TensorType::F8_E8M0 {
                    return Err(weight.malformed(&scaling.scale.1, "powers of two, U8 or F8_E8M0"));
                }
                Ok(scaling)
            }
            "nvfp4" => {
                let mut scaling = self.swizzled(weight, info, format, 16)?;
                if scaling.scale.1.dtype != TensorType::F8_E4M3 {
                    return Err(weight.malformed(&scaling.scale.1, "F8_E4M3"));
                }
                let second = self.needed(weight, format, "weight_scale_2")?;
                weight.check_len(&second, 1)?;
                scaling.second = Some(second);
                if let Some(input) = self.beside(weight, "pre_quant_scale") {
                    weight.check_len(&input, weight.expected.shape[1])?;
                    scaling.input = Some(input);
                }
                Ok(scaling)
            }
            _ => {
                let mut scaling =
                    self.by_rows(weight)?.ok_or_else(|| weight.missing(format, "weight_scale"))?;
                scaling.turned = weight.turned(comfy)?;
                Ok(scaling)
            }
        }
    }

    /// Scales for each `group` columns, in the order of cuBLAS. The weight may have more rows than the network, of zeros.
    fn swizzled(
        &mut self,
        weight: &Weight,
        info: &mut TensorInfo,
        format: &str,
        group: usize,
    ) -> Result<Scaling> {
        let scale = self.needed(weight, format, "weight_scale")?;
        let &[rows, columns] = &weight.expected.shape[..] else { return Err(weight.unknown(format)) };
        if info.dtype == TensorType::U8 {
            info.dtype = TensorType::F4;
            info.shape.iter_mut().skip(1).for_each(|columns| *columns *= 2);
        }
        if let [more, found] = info.shape[..]
            && found == columns
            && (rows..=rows.next_multiple_of(32)).contains(&more)
        {
            let row = (info.range.end - info.range.start) / more as u64;
            info.range.end = info.range.start + row * rows as u64;
            info.shape[0] = rows;
        }
        if !columns.is_multiple_of(group)
            || scale.1.shape.iter().product::<usize>() != swizzled_len([rows, columns], group)
        {
            let expected = format!("{} values", swizzled_len([rows, columns], group));
            return Err(weight.malformed(&scale.1, expected));
        }
        Ok(Scaling { scale, order: Order::Swizzled(group), second: None, input: None, turned: None })
    }

    /// A weight of bitsandbytes: places in a table of sixteen values.
    fn bitsandbytes(
        &mut self,
        weight: &Weight,
        info: &mut TensorInfo,
        state: &QuantState,
    ) -> Result<Scaling> {
        let kind = &state.quant_type[..];
        let count: usize = weight.expected.shape.iter().product();
        if !["nf4", "fp4"].contains(&kind) || info.dtype != TensorType::U8 || state.blocksize == 0 {
            return Err(weight.unknown(&format!("{kind} of bitsandbytes")));
        }
        if state.shape != weight.expected.shape || (info.range.end - info.range.start) as usize != count / 2 {
            let (file, tensor) = (weight.file.clone(), info.name.clone());
            let (expected, found) = (weight.expected.shape.clone(), state.shape.clone());
            return Err(Error::WrongShape { file, tensor, expected, found });
        }
        (info.dtype, info.shape) = (TensorType::NF4, state.shape.clone());
        let table = self.needed(weight, kind, "weight.quant_map")?;
        weight.check_len(&table, 16)?;
        let scale = self.needed(weight, kind, "weight.absmax")?;
        let blocks = count.div_ceil(state.blocksize);
        if scale.1.shape.iter().product::<usize>() != blocks {
            return Err(weight.malformed(&scale.1, format!("{blocks} values")));
        }
        let nested = match (scale.1.dtype, state.nested_blocksize) {
            (TensorType::U8, Some(run)) if run > 0 => {
                let table = self.needed(weight, kind, "weight.nested_quant_map")?;
                weight.check_len(&table, 256)?;
                let scale = self.needed(weight, kind, "weight.nested_absmax")?;
                weight.check_len(&scale, blocks.div_ceil(run))?;
                let offset = state.nested_offset.unwrap_or_default();
                Some(Box::new(Nested { scale, table, run, offset }))
            }
            _ => {
                weight.check_numbers(&scale)?;
                None
            }
        };
        let order = Order::Runs { run: state.blocksize, table: Box::new(table), nested };
        Ok(Scaling { scale, order, second: None, input: None, turned: None })
    }

    /// What a layer without a weight is packed as, where it has the tensors of another program.
    pub(super) fn packed_otherwise(&self, name: &str) -> Option<&'static str> {
        let layer = name.strip_suffix(".weight")?;
        [("qweight", "AWQ or GPTQ (`qweight`)"), ("weight_packed", "integers (`weight_packed`)")]
            .into_iter()
            .find_map(|(end, found)| self.has(&format!("{layer}.{end}")).then_some(found))
    }
}

impl Weight<'_> {
    fn missing(&self, found: &str, scale: &'static str) -> Error {
        Error::MissingScale { file: self.file.clone(), layer: self.full.clone(), found: found.into(), scale }
    }

    fn unknown(&self, found: &str) -> Error {
        Error::UnknownPacking { file: self.file.clone(), layer: self.full.clone(), found: found.into() }
    }

    fn malformed(&self, info: &TensorInfo, expected: impl Into<String>) -> Error {
        let found = format!("{:?} {:?}", info.dtype, info.shape);
        Error::malformed(&self.file, format!("tensor `{}`", info.name), expected, found)
    }

    /// Checks that a scale holds numbers, and not codes again.
    fn check_numbers(&self, (_, info): &Place) -> Result<()> {
        match info.dtype {
            TensorType::F32 | TensorType::F16 | TensorType::BF16 => Ok(()),
            _ => Err(self.malformed(info, "numbers of type F32, F16 or BF16")),
        }
    }

    fn check_len(&self, place: &Place, len: usize) -> Result<()> {
        self.check_numbers(place)?;
        match place.1.shape.iter().product::<usize>() {
            found if found == len => Ok(()),
            _ => Err(self.malformed(&place.1, format!("{len} values"))),
        }
    }

    /// The columns that were turned together.
    fn turned(&self, comfy: &Comfy) -> Result<Option<usize>> {
        if !comfy.convrot {
            return Ok(None);
        }
        let group = comfy.convrot_groupsize.unwrap_or(TURNED);
        let is_power_of_4 = group.is_power_of_two() && group.trailing_zeros().is_multiple_of(2);
        match self.expected.shape[..] {
            [_, columns] if group > 1 && is_power_of_4 && columns.is_multiple_of(group) => Ok(Some(group)),
            _ => Err(self.unknown(&format!("convrot with groups of {group}"))),
        }
    }
}
