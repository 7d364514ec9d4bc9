"""What a user would pick instead: scikit-learn's RBF support vector machine, on 20,000 images."""

from benchmarks.record import Row, main

ROW = Row(name="svm", title="scikit-learn SVC (RBF, C=10), 20,000 images", way="svm")

if __name__ == "__main__":
    main(ROW)
