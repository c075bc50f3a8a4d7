// What a person can do with links: open one, do what it is for, make one of this page's state.
import { decodeState, encodeState } from '../link/codec.js';
import { sharedState } from '../link/link.js';
import { sampleDataset } from '../sources/dataset.js';
import { urlSource } from '../sources/model.js';
import { subsetOf, withoutAdapter } from '../state/settings.js';
import { messageOf } from '../worker/errors.js';

/** @import { Lending } from './lending' */
/** @import { Prompts } from './prompts.js' */

export class Sharing {
  #app;
  #prompts;

  /** @param {Lending} app @param {Prompts} prompts */
  constructor(app, prompts) {
    this.#app = app;
    this.#prompts = prompts;
  }

  /** Takes up the state of a link. @param {string} fragment */
  read(fragment) {
    const { state, base } = this.#app;
    const { state: shared, problems } = decodeState(fragment);
    state.link = { shared, problems, followed: false };
    if (shared.prompts.length) Object.assign(state, { prompts: shared.prompts, hint: '' });
    const { feature, pooling, weights, reference_precision } = shared;
    state.settings = withoutAdapter(
      {
        feature: feature ?? state.settings.feature,
        pooling: pooling ?? state.settings.pooling,
        layer_weights: weights,
        reference_precision,
      },
      null,
    );
    if (pooling === 'adapter')
      problems.push(
        'The link was made with an adapter, whose file is not in it: pick it under Model. Until then pooling is mean.',
      );
    if (feature === 'weighted' && !weights)
      problems.push('The link asks for weighted layers and holds no weights: norm_avg is used.');
    state.wanted = shared.device;
    state.subset = shared.subset;
    if (shared.model) state.model.source = urlSource(shared.model, shared.sha256 ?? '');
    const { quantize, arithmetic, special_tokens } = shared;
    state.model.options = { ...state.model.options, quantize, arithmetic, special_tokens };
    if (shared.data) state.datasetSource = sampleDataset(base);
    if (shared.item) state.item = { ...shared.item, item: null, from: [], called: true };
  }

  /** Does what the link is for: loads its model, compares its prompts, opens its data set. */
  async follow() {
    const { state, work } = this.#app;
    if (state.link) state.link.followed = true;
    await this.#prompts.compare();
    if (state.datasetSource && !state.errors.prompts) await work('ted', () => this.#app.ensureDataset());
  }

  /**
   * Makes the link to this state and copies it.
   * @param {string} page the page's address without query and fragment
   * @param {(url: string) => Promise<void>} copy
   */
  async share(page, copy) {
    const { state, changed } = this.#app;
    state.errors.share = '';
    try {
      const fragment = encodeState(sharedState(state, subsetOf(state)));
      const url = `${page}#${fragment}`;
      const copied = await copy(url).then(
        () => 'Copied.',
        () => 'Copy it from the field below.',
      );
      const local =
        state.model.source.kind === 'files' ? ' Your model file is not in it: it opens with the default model.' : '';
      const adapter = state.settings.pooling === 'adapter' ? ' Your adapter file is not in it.' : '';
      state.sharing = { url, note: copied + local + adapter };
    } catch (error) {
      state.errors.share = messageOf(error);
    }
    changed();
  }
}
