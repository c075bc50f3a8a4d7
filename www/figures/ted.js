// Figures of a TED-6K run that the report does not state itself.

/** Milliseconds left, if the tokens to come take as long as those done. @param {{ done: number, total: number }} progress @param {number} elapsed */
export function timeLeft({ done, total }, elapsed) {
  return done > 0 ? (elapsed * (total - done)) / done : null;
}

/** A file name for the report. @param {string} model @param {Date} date @param {string} extension */
export function reportName(model, date, extension) {
  const name = model.replace(/[^\w.-]+/g, '-').slice(0, 80) || 'model';
  return `ted-report-${name}-${date.toISOString().slice(0, 10)}.${extension}`;
}
