// Example prompts, which differ by one thing that a text encoder can miss. The first two differ in meaning; a later
// one says the same as the first.

export const EXAMPLES = [
  {
    name: 'Left and right',
    hint: '1 and 3 are the same picture; 1 and 2 are mirror images.',
    prompts: [
      'a red cube to the left of a blue ball',
      'a red cube to the right of a blue ball',
      'a blue ball to the right of a red cube',
    ],
  },
  {
    name: 'Counting',
    hint: '1 and 4 are the same picture; only the number sets the others apart.',
    prompts: [
      'two cats asleep on a sofa',
      'three cats asleep on a sofa',
      'five cats asleep on a sofa',
      'a pair of cats asleep on a couch',
    ],
  },
  {
    name: 'Whose colour',
    hint: '1 and 3 are the same picture; in 2 the two colours are swapped.',
    prompts: [
      'a woman in a green coat holding a yellow umbrella',
      'a woman in a yellow coat holding a green umbrella',
      'a woman holding a yellow umbrella and wearing a green coat',
    ],
  },
  {
    name: 'Negation',
    hint: '1 and 3 are the same picture; 2 has the cars that 1 has not.',
    prompts: [
      'a city street at dawn without any cars',
      'a city street at dawn with many cars',
      'a city street at dawn, empty of cars',
    ],
  },
  {
    name: 'Order in time',
    hint: '1 and 3 are the same video; 2 runs the other way round.',
    prompts: [
      'a man opens a door, then switches on the light',
      'a man switches on the light, then opens a door',
      'before switching on the light, a man opens a door',
    ],
  },
  {
    name: 'Who does what',
    hint: '1 and 3 are the same picture; in 2 the cat does the chasing.',
    prompts: [
      'a dog chases a cat across a garden',
      'a cat chases a dog across a garden',
      'a cat is chased across a garden by a dog',
    ],
  },
];
