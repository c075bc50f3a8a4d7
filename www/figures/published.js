// The published figures (data/leaderboard.json), and the reasons why a report is not comparable with them.
import { formatCount } from './format.js';
import { origin } from './provenance.js';

/** @import { Report } from '../types/wasm' */

/**
 * @typedef {'last' | 'penultimate' | 'norm_avg' | 'weighted' | 'mean_pool'} Column
 * @typedef {{ model: string, kind: string, provenance?: string } & Partial<Record<Column, number>>} Row accuracies in
 *   percent
 * @typedef {[model: string, layers: string, score: number]} Downstream
 * @typedef {object} DownstreamScores
 * @property {string} metric
 * @property {{ T2I: number, T2V: number, note: string }} pearson_r the correlations as printed in the paper
 * @property {Downstream[]} T2I scores of text-to-image models
 * @property {Downstream[]} T2V scores of text-to-video models
 *
 * @typedef {object} Leaderboard
 * @property {string} benchmark
 * @property {string} source
 * @property {string} unit
 * @property {Record<Column, string>} columns
 * @property {Row[]} rows
 * @property {Record<string, Record<string, number> | string>} per_question_type
 * @property {DownstreamScores} downstream
 */

export const PUBLISHED_ITEMS = 6641;
export const COLUMNS = /** @type {const} */ (['last', 'penultimate', 'norm_avg', 'weighted', 'mean_pool']);

/** @returns {Promise<Leaderboard>} */
export async function readFigures() {
  const response = await fetch(new URL('../data/leaderboard.json', import.meta.url));
  if (!response.ok) throw new Error(`The server answered ${response.status} for \`leaderboard.json\`.`);
  return response.json();
}

/**
 * The reasons why a report's accuracy is not comparable with a column's figures; empty if it is.
 * @param {{ report: Report, sample: boolean }} named
 * @param {Column} column
 * @returns {string[]}
 */
export function differences({ report, sample }, column) {
  const { total } = report.summary.accuracy_statistics.overall;
  const [feature, pooling] = [origin(report, 'feature'), origin(report, 'pooling')];
  const reasons = [];
  if (sample) reasons.push("the page's sample, not TED-6K");
  else if (total !== PUBLISHED_ITEMS) reasons.push(`${formatCount(total)} of ${formatCount(PUBLISHED_ITEMS)} items`);
  if (!feature || !pooling) return [...reasons, 'its settings are not in the report'];

  const free = pooling === 'mean' || pooling === 'last_token';
  if (column === 'mean_pool')
    return pooling === 'mean' ? reasons : [...reasons, free ? 'last-token pooling' : 'a trained adapter'];
  if (free) reasons.push('no trained adapter');
  else if (pooling === 'mean_mlp') reasons.push('a mean + MLP adapter, not attention pooling');
  if (feature !== column) reasons.push(`layers: ${feature}`);
  return reasons;
}

/**
 * The downstream scores, each with the published TED-6K accuracy of its encoder; null where there is none.
 * @param {Leaderboard} board
 * @param {'T2I' | 'T2V'} task
 */
export function downstream({ rows, downstream: scores }, task) {
  return scores[task].map(([model, layers, score]) => {
    const column = COLUMNS.find((name) => name === layers);
    const ted = column && rows.find((row) => row.model === model)?.[column];
    return { task, model, layers, score, ted: ted ?? null };
  });
}
