// The lint of the page and its tests. Layout is prettier's, types are tsc's. Which room of www/ may import which is
// read from docs/architecture.md.
import { readFileSync } from 'node:fs';
import importX from 'eslint-plugin-import-x';
// @ts-expect-error: it has no types
import noUnsanitized from 'eslint-plugin-no-unsanitized';
import { readArrows, readSources, roomOf } from './tests/support/arrows.mjs';

const arrows = readArrows(readFileSync('docs/architecture.md', 'utf8'), 'www');
const rooms = new Set([...readSources('www').keys()].map(roomOf));
const zones = [...rooms].map((room) => ({
    target: `./www/${room}`,
    from: './www',
    except: [room, ...(arrows.get(room) ?? [])].map((allowed) => `./${allowed}`),
    message: 'There is no arrow for it in docs/architecture.md.',
}));

export default [
    { ignores: ['www/vendor/', 'www/pkg/', 'dist/', 'target/', '.cache/'] },
    {
        files: ['**/*.js', '**/*.mjs'],
        plugins: { 'import-x': importX, 'no-unsanitized': noUnsanitized },
        rules: {
            eqeqeq: 'error',
            'max-len': ['error', { code: 160, comments: 120, ignoreRegExpLiterals: true }],
            'no-unused-vars': ['error', { ignoreRestSiblings: true }],
            'import-x/no-cycle': 'error',
            'import-x/order': [
                'error',
                { groups: ['builtin', 'external', 'parent', 'sibling'], alphabetize: { order: 'asc' } },
            ],
            'sort-imports': ['error', { ignoreCase: true, ignoreDeclarationSort: true }],
            'no-unsanitized/method': 'error',
            'no-unsanitized/property': 'error',
        },
    },
    {
        // a text may be a stranger's: ui/dom.js makes it fit to be shown
        files: ['www/ui/**/*.js', 'www/views/**/*.js'],
        ignores: ['www/ui/dom.js'],
        rules: {
            'no-restricted-syntax': [
                'error',
                ...[
                    'NewExpression[callee.name="Option"]',
                    'CallExpression[callee.property.name=/^(createElement|createTextNode|insertAdjacentText)$/]',
                    'AssignmentExpression[left.property.name=/^(textContent|innerText|nodeValue|title|alt|placeholder)$/]',
                    'CallExpression[callee.property.name=/^(append|prepend|replaceChildren|before|after|replaceWith)$/]',
                ].map((selector) => ({ selector, message: 'Texts go into the page by ui/dom.js.' })),
            ],
        },
    },
    {
        files: ['www/**/*.js'],
        rules: { 'import-x/no-restricted-paths': ['error', { zones }], 'no-console': 'error' },
    },
];
