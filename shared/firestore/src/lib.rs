//! The store on Firestore.
