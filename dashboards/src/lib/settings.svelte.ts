/** What a person likes, kept in this browser alone: it changes how things look, never which they are. */

const UTC = 'cloud.utc';

class Settings {
  utc = $state(read(UTC) === 'true');

  toggleUtc(): void {
    this.utc = !this.utc;
    try {
      localStorage.setItem(UTC, String(this.utc));
    } catch {
      // a browser that keeps nothing: then it lasts until the page is left
    }
  }
}

function read(name: string): string | null {
  try {
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}

export const settings = new Settings();
