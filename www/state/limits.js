// Limits that hold for the page and for what it reads: links and the storage.

export const MAX_PROMPTS = 32;
export const MAX_PROMPT = 4000; // characters
export const MAX_REPORTS = 12; // imported or kept
