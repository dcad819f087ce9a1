/** Splits at a separator that no backslash stands before, as overlayfs does; "\:" and "\," are the characters themselves. */
export function splitEscaped(text: string, separator: string): string[] {
  const parts = [''];
  for (let index = 0; index < text.length; index += 1) {
    const character = text[index] as string;
    if (character === '\\' && index + 1 < text.length) {
      const next = text[++index] as string;
      // Only this level's separator loses its backslash: what is inside is split again.
      parts[parts.length - 1] += next === separator || next === '\\' ? next : `\\${next}`;
    } else if (character === separator) parts.push('');
    else parts[parts.length - 1] += character;
  }
  return parts;
}

/** SELinux contexts, in quotes where they have commas: FUSE takes none. */
const CONTEXTS = /(?<=^|,)(?:fs|def|root)?context=(?:"[^"]*"|[^,]*)/g;

/** The words of `-o`, each with its value; empty ones, as in "a,,b,", aren't told. */
export function optionWords(text: string): { word: string; name: string; value: string | undefined }[] {
  return splitEscaped(text.replace(CONTEXTS, ''), ',').filter((word) => word !== '').map((word) => {
    const equals = word.indexOf('=');
    return equals === -1 ? { word, name: word, value: undefined } : { word, name: word.slice(0, equals), value: word.slice(equals + 1) };
  });
}
