// A document without a browser, for what the views write into it: elements by id, children, texts and attributes. It
// draws nothing and lays nothing out; every kind of element is of one class.

/** @typedef {{ data: string }} Text */

export class FakeElement {
  /** @type {(FakeElement | Text)[]} */
  childNodes = [];
  /** @type {Record<string, string>} */
  attributes = {};
  /** @type {Record<string, string>} */
  dataset = {};
  style = { setProperty: (/** @type {string} */ name, /** @type {string} */ value) => (this.attributes[name] = value) };
  classList = { add() {}, remove() {}, toggle() {} };
  hidden = false;
  open = false;
  value = '';
  title = '';
  ariaLabel = '';
  scrollLeft = 0;
  /** @type {FakeElement | null} */
  parentElement = null;
  /** @type {Map<string, ((event: any) => void)[]>} */
  #listeners = new Map();

  /** @param {string} [tag] */
  constructor(tag = 'div') {
    this.tag = tag;
  }

  /** @returns {FakeElement[]} */
  get children() {
    return this.childNodes.flatMap((child) => (child instanceof FakeElement ? [child] : []));
  }

  get options() {
    return this.children;
  }

  /** @returns {FakeElement | null} */
  get lastElementChild() {
    return this.children.at(-1) ?? null;
  }

  /** @returns {string} */
  get textContent() {
    return this.childNodes.map((child) => ('data' in child ? child.data : child.textContent)).join('');
  }

  set textContent(text) {
    this.replaceChildren(text);
  }

  /** @param {...(FakeElement | string)} children */
  append(...children) {
    for (const child of children) {
      if (child instanceof FakeElement) child.parentElement = this;
      this.childNodes.push(child instanceof FakeElement ? child : { data: String(child) });
    }
  }

  /** @param {...(FakeElement | string)} children */
  replaceChildren(...children) {
    this.childNodes = [];
    this.append(...children);
  }

  remove() {
    const parent = this.parentElement;
    if (parent) parent.childNodes = parent.childNodes.filter((child) => child !== this);
  }

  /** @param {string} name @param {string} value */
  setAttribute(name, value) {
    this.attributes[name] = value;
  }

  /** @param {string} name */
  removeAttribute(name) {
    delete this.attributes[name];
  }

  /** @returns {FakeElement[]} this and all below */
  get all() {
    return [this, ...this.children.flatMap((child) => child.all)];
  }

  /** @param {string} tag a tag; nothing is found for another selector */
  querySelectorAll(tag) {
    return this.all.slice(1).filter((below) => below.tag === tag);
  }

  /** @param {string} tag */
  querySelector(tag) {
    return this.querySelectorAll(tag)[0] ?? null;
  }

  /** @param {unknown} node */
  contains(node) {
    return this.all.some((each) => each === node);
  }

  closest() {
    return null;
  }

  /** @param {string} type @param {(event: any) => void} listener */
  addEventListener(type, listener) {
    this.#listeners.set(type, [...(this.#listeners.get(type) ?? []), listener]);
  }

  /** Opens what can be opened. */
  unfold() {
    this.open = true;
    for (const listener of this.#listeners.get('toggle') ?? []) listener({ target: this });
  }

  focus() {}
  select() {}
  scrollTo() {}
  scrollIntoView() {}
  checkValidity() {
    return true;
  }
}

const KINDS = [
  'Element',
  ...'Button DList Details FieldSet Form Input Label OList Output Paragraph Progress Select'.split(' '),
]
  .concat('Span', 'TableCell', 'TextArea', 'UList')
  .map((kind) => (kind === 'Element' ? 'HTMLElement' : `HTML${kind}Element`));

/** Puts the document in the place of a browser's; returns its elements by id, made when they are first asked for. */
export function fakeDocument() {
  /** @type {Map<string, FakeElement>} */
  const elements = new Map();
  const document = {
    activeElement: null,
    createElement: (/** @type {string} */ tag) => new FakeElement(tag),
    getElementById(/** @type {string} */ id) {
      const parent = new FakeElement('label');
      if (!elements.has(id)) elements.set(id, new FakeElement());
      const element = /** @type {FakeElement} */ (elements.get(id));
      element.parentElement ??= parent;
      return element;
    },
  };
  class Observer {
    observe() {}
    disconnect() {}
  }
  Object.assign(globalThis, { document, IntersectionObserver: Observer, ResizeObserver: Observer });
  for (const kind of KINDS) Object.assign(globalThis, { [kind]: FakeElement });
  return elements;
}

/** Every text that an element shows or says. @param {FakeElement} element @returns {string[]} */
export function textsOf(element) {
  return element.all.flatMap(({ childNodes, attributes, title, ariaLabel }) => [
    ...childNodes.flatMap((child) => ('data' in child ? [child.data] : [])),
    ...Object.values(attributes),
    title,
    ariaLabel,
  ]);
}
