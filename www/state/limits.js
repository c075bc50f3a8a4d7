// Limits that the page and what it reads (links, the storage) share.

export const MAX_PROMPTS = 32;
export const MAX_PROMPT = 4000; // characters
export const MAX_REPORTS = 12; // imported or kept
