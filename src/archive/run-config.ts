import { jsonArray, jsonObject, jsonString, parseStrictJson } from './strict-json.ts';

/** How an image wants to be run: `config` of its configuration (image-spec, config.md). What it doesn't say is empty. */
export interface RunConfig {
  env: string[];
  entrypoint: string[];
  cmd: string[];
  workingDirectory: string;
  /** "name", "uid", "name:group" … */
  user: string;
}

/** What isn't of the kind it should be is passed over. */
export function runConfigOf(configuration: Buffer): RunConfig {
  const config = jsonObject(jsonObject(parseStrictJson(configuration, 'the image\'s configuration')).config);
  const strings = (value: unknown): string[] => jsonArray(value).filter((item) => typeof item === 'string');
  return {
    env: strings(config.Env), entrypoint: strings(config.Entrypoint), cmd: strings(config.Cmd),
    workingDirectory: jsonString(config.WorkingDir), user: jsonString(config.User),
  };
}
