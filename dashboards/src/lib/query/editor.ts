/** The query box: CodeMirror with our tokens, our completion, and a mark where the collector could not read on. */
import {
  acceptCompletion,
  autocompletion,
  closeCompletion,
  completionStatus,
  moveCompletionSelection,
  startCompletion,
  type CompletionContext,
  type CompletionResult,
} from '@codemirror/autocomplete';
import { defaultKeymap, history, historyKeymap } from '@codemirror/commands';
import { Compartment, EditorState, Prec, StateEffect, StateField, type Extension } from '@codemirror/state';
import {
  Decoration,
  EditorView,
  keymap,
  placeholder,
  ViewPlugin,
  type DecorationSet,
  type ViewUpdate,
} from '@codemirror/view';

import { nameOptions, valueOptions, wantedAt, type Option } from './completion';
import { tokensOf } from './tokens';

/** The values of a name, with what is said of each. */
export type ValuesOf = (name: string) => Promise<readonly { value: string; detail: string }[]>;

export interface Editing {
  parent: HTMLElement;
  text: string;
  /** What a screen reader calls it. */
  label: string;
  placeholder: string;
  valuesOf: ValuesOf;
  /** Enter was pressed. */
  onSubmit: () => void;
  onChange: (text: string) => void;
}

export interface Mark {
  /** From 1. */
  column: number;
  message: string;
}

export class QueryEditor {
  readonly #view: EditorView;
  readonly #description = new Compartment();

  constructor(editing: Editing) {
    this.#view = new EditorView({
      parent: editing.parent,
      state: EditorState.create({
        doc: editing.text,
        extensions: [
          EditorView.cspNonce.of(nonce()),
          oneLine,
          history(),
          Prec.highest(keymap.of([{ key: 'Mod-Enter', run: submit(editing) }])),
          // Nothing is chosen beforehand: Enter asks what was typed, Tab takes the first option.
          autocompletion({
            override: [completer(editing.valuesOf)],
            selectOnOpen: false,
            interactionDelay: 0,
            icons: false,
            maxRenderedOptions: 40,
          }),
          keymap.of([
            { key: 'Enter', run: submit(editing) },
            { key: 'Escape', run: blur },
            { key: 'Tab', run: takeFirst },
          ]),
          keymap.of([...historyKeymap, ...defaultKeymap]),
          replacing,
          colours,
          marks,
          placeholder(editing.placeholder),
          EditorView.lineWrapping,
          EditorView.contentAttributes.of({
            'aria-label': editing.label,
            'aria-multiline': 'false',
            tabindex: '0',
            spellcheck: 'false',
            autocapitalize: 'off',
            autocorrect: 'off',
          }),
          this.#description.of([]),
          EditorView.updateListener.of((update) => {
            if (update.docChanged) editing.onChange(update.state.doc.toString());
          }),
        ],
      }),
    });
  }

  get text(): string {
    return this.#view.state.doc.toString();
  }

  set text(text: string) {
    if (text === this.text) return;
    this.#view.dispatch({
      changes: { from: 0, to: this.#view.state.doc.length, insert: text },
      selection: { anchor: text.length },
    });
  }

  /** Show where the query could not be read, or with null that it could; `describedBy` is the id of what says why. */
  mark(mark: Mark | null, describedBy: string): void {
    const attributes: Record<string, string> =
      mark === null ? {} : { 'aria-invalid': 'true', 'aria-describedby': describedBy };
    this.#view.dispatch({
      effects: [setMark.of(mark), this.#description.reconfigure(EditorView.contentAttributes.of(attributes))],
    });
  }

  focus(): void {
    this.#view.focus();
    this.#view.dispatch({ selection: { anchor: this.#view.state.doc.length } });
  }

  close(): void {
    this.#view.destroy();
  }
}

/** What lets the styles that CodeMirror adds pass the Content-Security-Policy. */
function nonce(): string {
  return document.querySelector<HTMLElement>('meta[property="csp-nonce"]')?.nonce ?? '';
}

function submit(editing: Editing): (view: EditorView) => boolean {
  return (view) => {
    closeCompletion(view);
    editing.onSubmit();
    return true;
  };
}

function takeFirst(view: EditorView): boolean {
  if (completionStatus(view.state) !== 'active') return false;
  return acceptCompletion(view) || (moveCompletionSelection(true)(view) && acceptCompletion(view));
}

function blur(view: EditorView): boolean {
  view.contentDOM.blur();
  return true;
}

/**
 * What is typed over marked text. Left to itself a browser gives it the style of what it replaces, as an attribute that
 * the Content-Security-Policy refuses.
 */
const replacing = EditorView.domEventHandlers({
  beforeinput(event, view) {
    const isOurs = event.inputType === 'insertText' && event.data !== null && !event.isComposing && event.cancelable;
    if (!isOurs || view.state.selection.main.empty) return false;
    event.preventDefault();
    view.dispatch(view.state.replaceSelection(event.data), { userEvent: 'input.type' });
    return true;
  },
});

/** A query has one line: what is pasted with more has spaces there. */
const oneLine = EditorState.transactionFilter.of((transaction) => {
  if (!transaction.docChanged || transaction.newDoc.lines === 1) return transaction;
  const text = transaction.newDoc.toString().replace(/\s*\n\s*/g, ' ');
  return {
    changes: { from: 0, to: transaction.startState.doc.length, insert: text },
    selection: { anchor: text.length },
  };
});

function completer(valuesOf: ValuesOf) {
  return async (context: CompletionContext): Promise<CompletionResult | null> => {
    const wanted = wantedAt(context.state.doc.toString(), context.pos);
    if (wanted === null || (wanted.name === null && wanted.typed === '' && !context.explicit)) return null;
    const options =
      wanted.name === null ? nameOptions(wanted.typed) : valueOptions(wanted.typed, await valuesOf(wanted.name));
    return { from: wanted.from, options: options.map(completionOf), filter: false };
  };
}

function completionOf(option: Option) {
  const goesOn = option.apply.endsWith(':');
  return {
    label: option.label,
    detail: option.detail,
    apply: (view: EditorView, _completion: unknown, from: number, to: number): void => {
      view.dispatch({
        changes: { from, to, insert: option.apply },
        selection: { anchor: from + option.apply.length },
        userEvent: 'input.complete',
      });
      if (goesOn) startCompletion(view);
    },
  };
}

const colours = ViewPlugin.fromClass(
  class {
    decorations: DecorationSet;

    constructor(view: EditorView) {
      this.decorations = coloured(view.state.doc.toString());
    }

    update(update: ViewUpdate): void {
      if (update.docChanged) this.decorations = coloured(update.state.doc.toString());
    }
  },
  { decorations: (plugin) => plugin.decorations },
);

function coloured(text: string): DecorationSet {
  return Decoration.set(
    tokensOf(text).map((token) => Decoration.mark({ class: `q-${token.kind}` }).range(token.from, token.to)),
  );
}

const setMark = StateEffect.define<Mark | null>();

const marks: Extension = StateField.define<DecorationSet>({
  create: () => Decoration.none,
  update(marked, transaction) {
    let found = transaction.docChanged ? Decoration.none : marked;
    for (const effect of transaction.effects) {
      if (effect.is(setMark)) found = markedAt(transaction.newDoc.toString(), effect.value);
    }
    return found;
  },
  provide: (field) => EditorView.decorations.from(field),
});

/** The token at the column, or the last one where the query ends too early. */
function markedAt(text: string, mark: Mark | null): DecorationSet {
  if (mark === null || text === '') return Decoration.none;
  const at = Math.min(Math.max(mark.column - 1, 0), text.length);
  const tokens = tokensOf(text);
  const token = tokens.find((each) => each.from <= at && at < each.to) ?? tokens.at(-1);
  if (token === undefined) return Decoration.none;
  const from = Math.min(Math.max(at, token.from), token.to - 1);
  return Decoration.set([
    Decoration.mark({ class: 'q-error', attributes: { title: mark.message } }).range(from, token.to),
  ]);
}
