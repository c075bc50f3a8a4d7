// Published results, as figures to stand beside a run: GRAN-TED, arXiv 2512.15560v2, Table 7, training-free mean pooling,
// accuracy on all 6,641 items of TED-6K.

export const PUBLISHED = [
  { model: 'UMT5-XXL', accuracy: 0.5064 },
  { model: 'Qwen3-VL-8B-Instruct', accuracy: 0.4259 },
  { model: 'Qwen3-8B-Instruct', accuracy: 0.3918 },
];
