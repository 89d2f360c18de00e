// Answers may overtake each other on their way: which of them still says something new.

export class Order {
  #asked = 0;
  #answered = 0;

  /** Call it before asking. What it returns is called with the answer: whether no later question has one already. */
  ask() {
    const turn = ++this.#asked;
    return () => {
      if (turn < this.#answered) return false;
      this.#answered = turn;
      return true;
    };
  }
}
