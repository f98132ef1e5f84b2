/** The name under which Nest injects the settings: an interface has no value at run time to be found by. */
export const SETTINGS = Symbol('settings');
